"""The progress bar. rich is imported only where one is shown."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from deflicker.cli.batch import Outcome, Task
from deflicker.core.progress import Progress

STAGES = {
    "weights": "weights",
    "scan": "looking",
    "shots": "waiting for shots",
    "frames": "deflickering",
    "finish": "finishing",
}


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr: stage, frames, frames a second, time left."""
    if not shown:
        yield lambda step: None
        return
    from rich import progress as rich
    from rich.console import Console

    class Speed(rich.ProgressColumn):
        def render(self, task: rich.Task) -> str:
            return f"{task.speed:.1f} fps" if task.speed else ""

    columns = ("{task.description}", rich.BarColumn(), rich.MofNCompleteColumn(), Speed(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(step: Progress) -> None:
            bar.update(task, description=STAGES[step.stage], completed=step.frames_done, total=step.frames_total)

        yield show


_MOST = 0.99
"""Part of a video that its frames make up; the rest is its end. A container's count of frames may be wrong."""


class BatchBar:
    """Counts videos: those that ended, and of those at work the part that is done. Threads may tell it at once."""

    def __init__(self, bar: Any = None) -> None:
        self._bar, self._lock = bar, Lock()
        self.states = Counter[str]()
        """How many are in each."""
        self._parts: dict[Task, float] = {}
        self._row = bar.add_task("", total=None, words="looking for videos") if bar else None

    def begin(self, videos: int) -> None:
        """So many there are."""
        self._show(total=videos)

    def step(self, task: Task, step: Progress) -> None:
        """How far one is."""
        if self._bar is not None and step.stage == "frames" and step.frames_total:
            with self._lock:
                self._parts[task] = min(_MOST, step.frames_done / step.frames_total)
            self._show()

    def ended(self, outcome: Outcome) -> None:
        """One is done, skipped or failed."""
        with self._lock:
            self._parts.pop(outcome.task, None)
            self.states[outcome.state] += 1
        self._show()

    @property
    def words(self) -> str:
        """The counts."""
        return ", ".join(f"{self.states[state]} {state}" for state in ("done", "skipped", "failed"))

    def _show(self, **values: Any) -> None:
        if self._bar is not None:
            with self._lock:
                completed = self.states.total() + sum(self._parts.values())
            self._bar.update(self._row, completed=completed, words=self.words, **values)


@contextmanager
def batch_bar(*, quiet: bool) -> Iterator[BatchBar]:
    """A bar on stderr, where that is a terminal, beneath the lines that are printed meanwhile."""
    if quiet or not sys.stderr.isatty():
        yield BatchBar()
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        "videos",
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        "{task.fields[words]}",
        rich.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with rich.Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        yield BatchBar(bar)

"""Progress bars. rich is imported only if one is shown."""

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
    "scan": "scanning",
    "shots": "waiting for shots",
    "frames": "deflickering",
    "finish": "finishing",
}


def _live_display(*columns: Any) -> Any:
    """rich's progress display on standard error, below the lines that are printed meanwhile, gone at its end."""
    from rich.console import Console
    from rich.progress import Progress as Display

    stderr = Console(stderr=True)
    return Display(*columns, console=stderr, transient=True, redirect_stdout=sys.stdout.isatty())


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr: stage, frames, frames a second, time left."""
    if not shown:
        yield lambda step: None
        return
    from rich import progress as rich

    class Speed(rich.ProgressColumn):
        def render(self, task: rich.Task) -> str:
            return f"{task.speed:.1f} fps" if task.speed else ""

    columns = ("{task.description}", rich.BarColumn(), rich.MofNCompleteColumn(), Speed(), rich.TimeRemainingColumn())
    with _live_display(*columns) as bar:
        task = bar.add_task("starting", total=None)

        def show(step: Progress) -> None:
            bar.update(task, description=STAGES[step.stage], completed=step.frames_done, total=step.frames_total)

        yield show


_MAX_FRACTION = 0.99
"""Part of a video that its frames make up; the rest is its end. A container's count of frames may be wrong."""


class BatchBar:
    """Counts videos: those that ended and, of those at work, the part that is done. Safe to call from many threads."""

    def __init__(self, bar: Any = None) -> None:
        self._bar, self._lock = bar, Lock()
        self.states = Counter[str]()
        """How many videos are in each state."""
        self._parts: dict[Task, float] = {}
        self._row = bar.add_task("", total=None, counts="searching for videos") if bar else None

    def begin(self, videos: int) -> None:
        """Set how many videos there are."""
        self._show(total=videos)

    def step(self, task: Task, step: Progress) -> None:
        """Update the part of one video that is done."""
        if self._bar is not None and step.stage == "frames" and step.frames_total:
            with self._lock:
                self._parts[task] = min(_MAX_FRACTION, step.frames_done / step.frames_total)
            self._show()

    def ended(self, outcome: Outcome) -> None:
        """Count one video that is done, skipped or failed."""
        with self._lock:
            self._parts.pop(outcome.task, None)
            self.states[outcome.state] += 1
        self._show()

    @property
    def counts(self) -> str:
        """How many are done, skipped and failed, as text."""
        return ", ".join(f"{self.states[state]} {state}" for state in ("done", "skipped", "failed"))

    def _show(self, **values: Any) -> None:
        if self._bar is not None:
            with self._lock:
                completed = self.states.total() + sum(self._parts.values())
            self._bar.update(self._row, completed=completed, counts=self.counts, **values)


@contextmanager
def batch_bar(*, shown: bool) -> Iterator[BatchBar]:
    """A bar on stderr: videos that ended, their states, time left."""
    if not shown:
        yield BatchBar()
        return
    from rich import progress as rich

    columns = (rich.BarColumn(), rich.TaskProgressColumn(), "{task.fields[counts]}", rich.TimeRemainingColumn())
    with _live_display("videos", *columns) as bar:
        yield BatchBar(bar)

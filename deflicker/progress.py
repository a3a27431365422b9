"""The progress bar. rich is imported only where one is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deflicker.report.model import Progress

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

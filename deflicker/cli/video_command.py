"""`deflicker IN OUT`: one video."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from deflicker.cli.checks import STREAM, check_extras, check_paths
from deflicker.cli.cluster import connect
from deflicker.cli.command import Command
from deflicker.cli.console import Console
from deflicker.cli.run_options import RunOptions
from deflicker.core.errors import OutputError
from deflicker.report.model import Plan, Report
from deflicker.report.text import outlook, summary

if TYPE_CHECKING:
    from deflicker.pipeline.distributed.scheduler import ShotScheduler
    from deflicker.pipeline.distributed.segments import Segment


class Pipeline(Protocol):
    """What corrects a video: the module `deflicker.pipeline.video`, or a fake."""

    @property
    def deflicker(self) -> Callable[..., Report]: ...
    @property
    def plan(self) -> Callable[..., Plan]: ...


@dataclass(frozen=True, kw_only=True)
class VideoCommand(Command):
    """Correct one video, or with `dry_run` say what would be done."""

    options: RunOptions
    source: Path
    target: Path
    ray: str | None = None
    """Address of the Ray cluster whose machines find the corrections."""
    jobs: int | None = None
    """Workers on that cluster."""
    pipeline: Pipeline | None = None
    """None for the one there is, which is imported when it is needed."""

    @property
    def start_event(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "settings": vars(self.options.settings)}

    def validate(self) -> None:
        overwrite = self.options.settings.overwrite
        check_paths(self.source, self.target, overwrite)
        check_extras(self.source, self.target, self.options.report, self.options.compare, overwrite=overwrite)

    def run(self, console: Console) -> int:
        console.message(*(self._plan(console) if self.options.dry_run else self._correct(console)))
        return 0

    def _correct(self, console: Console) -> list[str]:
        """Correct the video; the summary."""
        source, target = self._streams()
        settings, report_path = self.options.settings, self.options.report
        with console.progress() as on_progress, self._by_shots(console) as cluster:
            extras = self.options.extras(self.options.compare) | ({"corrections": cluster} if cluster else {})
            used = replace(settings, resume=False) if cluster else settings  # a cluster's run always resumes
            report = self._pipeline.deflicker(source, target, used, on_progress=on_progress, **extras)
            report = cluster.signed(report) if cluster else report
        for what, times in report.damage:
            console.log.event("damage", what=what, times=times)
        console.log.event("result", **report.to_dict())
        if report_path is None:
            return summary(report)
        report.save(report_path, overwrite=settings.overwrite)
        return [*summary(report), f"report:  {report_path}"]

    def _plan(self, console: Console) -> list[str]:
        """What `_correct` would do."""
        source, target = self._streams()
        with console.progress() as on_progress:
            plan = self._pipeline.plan(source, target, self.options.settings, on_progress=on_progress)
        console.log.event("plan", **vars(plan))
        return outlook(plan)

    @property
    def _pipeline(self) -> Pipeline:
        if self.pipeline is not None:
            return self.pipeline
        from deflicker.pipeline import video

        return video

    def _streams(self) -> tuple[Path | BinaryIO, Path | BinaryIO]:
        """Input and output: the file's name, or the standard stream that `-` stands for."""
        source: Path | BinaryIO = sys.stdin.buffer if self.source == STREAM else self.source
        if self.target != STREAM:
            return source, self.target
        if sys.stdout.isatty() and not self.options.dry_run:
            raise OutputError("the output would be written to the terminal: redirect it to a file or a pipe")
        # Past Python's own buffer, which would be flushed, in vain, once more at the end.
        return source, open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)

    @contextmanager
    def _by_shots(self, console: Console) -> Iterator[ShotScheduler | None]:
        """What has each shot corrected on a machine of the cluster; None if this machine does all."""
        settings = self.options.settings
        if self.ray is None or settings.strength == 0:
            yield None
            return
        from deflicker.pipeline.distributed.scheduler import ShotScheduler

        def on_segment(state: str, segment: Segment) -> None:
            console.log.event("shots", state=state, first_frame=segment.shots.first, frames=len(segment.shots))

        motion = self.options.report is not None
        with (
            connect(self.ray, settings, self.jobs, console.log) as cluster,
            ShotScheduler(
                self.source, self.target, settings, cluster, motion=motion, on_segment=on_segment
            ) as scheduler,
        ):
            yield scheduler

"""A parsed command line at work: what it runs and what its log gets. It returns the words that `cli` prints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from deflicker.checks import STREAM
from deflicker.errors import OutputError, SettingsError
from deflicker.log import JsonLog
from deflicker.progress import progress_bar
from deflicker.report.model import Progress
from deflicker.settings import CompareStyle, Settings
from deflicker.words import outlook, summary


@dataclass(frozen=True)
class Job:
    """One parsed command line."""

    source: Path
    target: Path
    settings: Settings
    dry_run: bool
    quiet: bool
    verbose: bool
    log_json: Path | None
    report: Path | None = None
    compare: Path | None = None
    compare_style: CompareStyle = "side"
    lpips: bool = True

    @property
    def extras(self) -> dict[str, Any]:
        """What the run is asked for beside the output."""
        measured = {"measure": True, "lpips": self.lpips} if self.report else {}
        return measured | ({"compare": self.compare, "compare_style": self.compare_style} if self.compare else {})

    @property
    def level(self) -> int:
        """Of the log records to show."""
        return logging.DEBUG if self.verbose else logging.ERROR if self.quiet else logging.WARNING


def correct(job: Job, log: JsonLog) -> list[str]:
    """Take the flicker out; the summary."""
    from deflicker import api

    source, target = streams(job)
    with progress_to(job, log) as on_progress:
        report = api.deflicker(source, target, job.settings, on_progress=on_progress, **job.extras)
    for what, times in report.losses:
        log.event("loss", what=what, times=times)
    log.event("result", **report.to_dict())
    if job.report is not None:
        report.save(job.report, overwrite=job.settings.overwrite)
        return [*summary(report), f"report:  {job.report}"]
    return summary(report)


def look_ahead(job: Job, log: JsonLog) -> list[str]:
    """Say what `correct` would do."""
    from deflicker import api

    source, target = streams(job)
    with progress_to(job, log) as on_progress:
        plan = api.plan(source, target, job.settings, on_progress=on_progress)
    log.event("plan", **vars(plan))
    return outlook(plan)


def streams(job: Job) -> tuple[Path | BinaryIO, Path | BinaryIO]:
    """Input and output: the file's name, or the standard stream that `-` stands for."""
    source: Path | BinaryIO = sys.stdin.buffer if job.source == STREAM else job.source
    if job.target != STREAM:
        return source, job.target
    if sys.stdout.isatty() and not job.dry_run:
        raise OutputError("the output would be written to the terminal: redirect it to a file or a pipe")
    # Past Python's own buffer, which would be flushed, in vain, once more at the end.
    return source, open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


@contextmanager
def progress_to(job: Job, log: JsonLog) -> Iterator[Callable[[Progress], None]]:
    """Progress for eyes and for programs."""
    with progress_bar(shown=not job.quiet and sys.stderr.isatty()) as show:

        def on_progress(step: Progress) -> None:
            show(step)
            log.progress(step)

        yield on_progress


def in_and_out(paths: list[Path]) -> tuple[Path, Path]:
    """IN and OUT. Raises SettingsError where the command line has more or fewer names."""
    if len(paths) == 2:
        return paths[0], paths[1]
    more = f"what to do with {paths[2]} is not clear" if len(paths) > 2 else "OUT is missing"
    raise SettingsError(f"{more}: usage: deflicker IN OUT")

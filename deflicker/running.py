"""A parsed command line at work: what it runs and what its log gets. It returns the words that `cli` prints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO

from deflicker.batch import Batch, Outcome, Task, run_all, tasks
from deflicker.checks import STREAM, check_paths
from deflicker.errors import OutputError, SettingsError
from deflicker.log import JsonLog
from deflicker.progress import progress_bar
from deflicker.report.model import Progress, Report
from deflicker.settings import CompareStyle, Settings
from deflicker.words import explain, outlook, summary

if TYPE_CHECKING:
    from deflicker.cluster import Cluster
    from deflicker.film import Film
    from deflicker.shots import Piece


class _Loud:
    """How much a job says."""

    quiet: bool
    verbose: bool

    @property
    def level(self) -> int:
        """Of the log records to show."""
        return logging.DEBUG if self.verbose else logging.ERROR if self.quiet else logging.WARNING


@dataclass(frozen=True)
class Job(_Loud):
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
    ray: str | None = None
    jobs: int | None = None

    @property
    def extras(self) -> dict[str, Any]:
        """What the run is asked for beside the output."""
        measured = {"measure": True, "lpips": self.lpips} if self.report else {}
        return measured | ({"compare": self.compare, "compare_style": self.compare_style} if self.compare else {})


@dataclass(frozen=True)
class BatchJob(_Loud):
    """One parsed command line for many videos."""

    inputs: tuple[Path, ...]
    batch: Batch
    settings: Settings
    dry_run: bool
    quiet: bool
    verbose: bool
    log_json: Path | None


def correct_all(job: BatchJob, log: JsonLog) -> Iterator[Outcome]:
    """Take the flicker out of many videos; what became of each, as it ends."""
    todo = tasks(job.inputs, job.batch)
    if job.dry_run:
        yield from (Outcome(task, "skipped", f"would become {task.target}") for task in todo)
        return
    results = {}
    with workers(job, log) as (count, process):

        def work(task: Task, stop: Event) -> str:
            check_paths(task.source, task.target, job.settings.overwrite)
            report = results[task] = process(task.source, task.target, stop)
            return f"{report.frames_changed} of {report.frames} frames changed, written to {task.target}"

        batch = replace(job.batch, jobs=count)
        with closing(run_all(todo, batch, work, lambda error: explain(error)[1])) as outcomes:
            for outcome in outcomes:
                result = results.pop(outcome.task, None)
                names = {"source": outcome.task.source, "target": outcome.task.target}
                log.event("file", state=outcome.state, message=outcome.words, **(result.to_dict() if result else names))
                yield outcome


@contextmanager
def workers(job: BatchJob, log: JsonLog) -> Iterator[tuple[int, Callable[[Path, Path, Event], Report]]]:
    """How many videos are done at a time, and what does one of them: threads here, or machines of a cluster."""
    if job.batch.ray is None:
        from deflicker.session import Deflicker

        here = Deflicker(job.settings)
        yield job.batch.jobs or 1, lambda source, target, stop: here.file(source, target, cancel=stop)
        return
    with farm(job.batch.ray, job.settings, job.batch.jobs, log) as cluster:
        yield cluster.size, cluster.file


@contextmanager
def farm(address: str, settings: Settings, count: int | None, log: JsonLog) -> Iterator[Cluster]:
    """The workers of a cluster."""
    from deflicker.cluster import Cluster, Hello

    def on_worker(state: str, worker: Hello) -> None:
        log.event("worker", state=state, host=worker.host, pid=worker.pid)

    # Ray prints what befalls its machines, and standard output is for programs.
    with redirect_stdout(sys.stderr), Cluster(address, settings, count, on_worker) as cluster:
        yield cluster


def correct(job: Job, log: JsonLog) -> list[str]:
    """Take the flicker out; the summary."""
    from deflicker import api

    source, target = streams(job)
    with progress_to(job, log) as on_progress, by_shots(job, log) as decider:
        extras = job.extras | ({"decider": decider} if decider else {})
        report = api.deflicker(source, target, job.settings, on_progress=on_progress, **extras)
        report = decider.signed(report) if decider else report
    for what, times in report.losses:
        log.event("loss", what=what, times=times)
    log.event("result", **report.to_dict())
    if job.report is not None:
        report.save(job.report, overwrite=job.settings.overwrite)
        return [*summary(report), f"report:  {job.report}"]
    return summary(report)


@contextmanager
def by_shots(job: Job, log: JsonLog) -> Iterator[Film | None]:
    """A film whose shots the machines of a cluster decide; None where this machine does all."""
    if job.ray is None or job.settings.strength == 0:
        yield None
        return
    from deflicker.film import Film

    def on_piece(how: str, piece: Piece) -> None:
        log.event("shots", state=how, first_frame=piece.part.first, frames=len(piece.part))

    with (
        farm(job.ray, job.settings, job.jobs, log) as cluster,
        Film(job.source, job.target, job.settings, cluster, motion=job.report is not None, on_piece=on_piece) as film,
    ):
        yield film


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
    if len(paths) > 2:
        more = f"{paths[2]} is one name too many"
        raise SettingsError(f"{more}; usage: deflicker IN OUT, or for many videos deflicker IN... --output-dir FOLDER")
    raise SettingsError("OUT is missing; usage: deflicker IN OUT")

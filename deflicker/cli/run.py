"""A parsed command line at work: what it runs and what its log gets. It returns the words that `cli.main` prints."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO

from deflicker.cli.batch import Batch, Outcome, Summary, Task, beside, run_all, tasks
from deflicker.cli.checks import STREAM, check_extras, check_paths
from deflicker.cli.exit_codes import explain
from deflicker.cli.json_log import JsonLog
from deflicker.cli.progress_bar import BatchBar, progress_bar
from deflicker.core.errors import OutputError, SettingsError
from deflicker.core.progress import Progress
from deflicker.core.settings import CompareStyle, Settings
from deflicker.report.model import Report
from deflicker.report.text import outlook, summary

if TYPE_CHECKING:
    from deflicker.pipeline.distributed.ray_cluster import Cluster
    from deflicker.pipeline.distributed.scheduler import ShotScheduler
    from deflicker.pipeline.distributed.segments import Segment


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What every command line says, of one video and of many."""

    settings: Settings
    report: Path | None
    compare: Path | None
    compare_style: CompareStyle
    lpips: bool
    dry_run: bool
    quiet: bool
    verbose: bool
    log_json: Path | None

    @property
    def level(self) -> int:
        """Of the log records to show."""
        return logging.DEBUG if self.verbose else logging.ERROR if self.quiet else logging.WARNING

    def extras(self, compare: Path | None) -> dict[str, Any]:
        """What a run is asked for beside the output."""
        measured = {"measure": True, "lpips": self.lpips} if self.report else {}
        return measured | ({"compare": compare, "compare_style": self.compare_style} if compare else {})


@dataclass(frozen=True, kw_only=True)
class Job(_Wish):
    """One parsed command line."""

    source: Path
    target: Path
    ray: str | None
    jobs: int | None


@dataclass(frozen=True, kw_only=True)
class BatchJob(_Wish):
    """One parsed command line for many videos. `report` and `compare` are what every output's name is followed by."""

    inputs: tuple[Path, ...]
    batch: Batch


def job_of(paths: list[Path], batch: Batch, **wish: Any) -> Job | BatchJob:
    """One video or many, by the options given. Raises SettingsError where they do not go together."""
    if batch.output_dir is not None or batch.suffix:
        if STREAM in paths:
            raise SettingsError("pipes are for one video: leave out --output-dir and --suffix")
        for option, path in (("--report", wish["report"]), ("--compare", wish["compare"])):
            if path is not None and path.name != str(path):
                raise SettingsError(
                    f"{option}: {path} lies in a folder; of many videos, each gets its own beside its output"
                )
        return BatchJob(inputs=tuple(paths), batch=replace(batch, beside=wish["compare"]), **wish)
    if batch.recursive or batch.skip_existing or (batch.jobs and not batch.ray):
        raise SettingsError(
            "--recursive, --jobs and --skip-existing are for many videos: give --output-dir or --suffix"
        )
    if batch.ray and STREAM in paths:
        raise SettingsError("a pipe cannot be read by other machines: leave out --ray, or store the video first")
    source, target = in_and_out(paths)
    return Job(source=source, target=target, ray=batch.ray, jobs=batch.jobs, **wish)


def correct_all(job: BatchJob, log: JsonLog, bar: BatchBar) -> Iterator[Outcome]:
    """Take the flicker out of many videos; what became of each, as it ends. In the end the log gets a summary."""
    started = time.monotonic()
    todo = tasks(job.inputs, job.batch)
    if job.dry_run:
        for task in todo:
            bar.ended(outcome := Outcome(task, "skipped", f"would become {task.target}"))
            yield outcome
        return
    bar.begin(len(todo))
    results, total = dict[Task, Report](), Summary()
    with workers(job, log, bar) as (count, process):

        def work(task: Task, stop: Event) -> str:
            report_to, compare_to = (beside(task.target, name) for name in (job.report, job.compare))
            check_paths(task.source, task.target, job.settings.overwrite)
            check_extras(task.source, task.target, report_to, compare_to, overwrite=job.settings.overwrite)
            report = results[task] = process(task, stop, job.extras(compare_to))
            if report_to is not None:
                report.save(report_to, overwrite=job.settings.overwrite)
            return f"{report.frames_changed} of {report.frames} frames changed, written to {task.target}"

        batch = replace(job.batch, jobs=count)
        with closing(run_all(todo, batch, work, lambda error: explain(error)[1])) as outcomes:
            for outcome in outcomes:
                result = results.pop(outcome.task, None)
                names = {"source": outcome.task.source, "target": outcome.task.target}
                log.event("file", state=outcome.state, message=outcome.words, **(result.to_dict() if result else names))
                total.add(outcome, result)
                bar.ended(outcome)
                yield outcome
    log.event("end", elapsed_s=time.monotonic() - started, **total.to_dict())


@contextmanager
def workers(
    job: BatchJob, log: JsonLog, bar: BatchBar
) -> Iterator[tuple[int, Callable[[Task, Event, dict[str, Any]], Report]]]:
    """How many videos are done at a time, and what does one of them: threads here, or machines of a cluster."""
    if job.batch.ray is None:
        from deflicker.pipeline.session import Deflicker

        here = Deflicker(job.settings)

        def work(task: Task, stop: Event, extras: dict[str, Any]) -> Report:
            return here.file(task.source, task.target, cancel=stop, on_progress=partial(bar.step, task), **extras)

        yield job.batch.jobs or 1, work
        return
    with farm(job.batch.ray, job.settings, job.batch.jobs, log) as cluster:
        yield cluster.size, lambda task, stop, extras: cluster.file(task.source, task.target, stop, extras)


@contextmanager
def farm(address: str, settings: Settings, count: int | None, log: JsonLog) -> Iterator[Cluster]:
    """The workers of a cluster."""
    from deflicker.pipeline.distributed.ray_cluster import Cluster, Hello

    def on_worker(state: str, worker: Hello) -> None:
        log.event("worker", state=state, host=worker.host, pid=worker.pid)

    # Ray prints what befalls its machines, and standard output is for programs.
    with redirect_stdout(sys.stderr), Cluster(address, settings, count, on_worker) as cluster:
        yield cluster


def correct(job: Job, log: JsonLog) -> list[str]:
    """Take the flicker out; the summary."""
    from deflicker.pipeline import video as api

    source, target = streams(job)
    with progress_to(job, log) as on_progress, by_shots(job, log) as decider:
        extras = job.extras(job.compare) | ({"corrections": decider} if decider else {})
        settings = replace(job.settings, resume=False) if decider else job.settings  # a film always goes on
        report = api.deflicker(source, target, settings, on_progress=on_progress, **extras)
        report = decider.signed(report) if decider else report
    for what, times in report.damage:
        log.event("damage", what=what, times=times)
    log.event("result", **report.to_dict())
    if job.report is not None:
        report.save(job.report, overwrite=job.settings.overwrite)
        return [*summary(report), f"report:  {job.report}"]
    return summary(report)


@contextmanager
def by_shots(job: Job, log: JsonLog) -> Iterator[ShotScheduler | None]:
    """A film whose shots the machines of a cluster decide; None where this machine does all."""
    if job.ray is None or job.settings.strength == 0:
        yield None
        return
    from deflicker.pipeline.distributed.scheduler import ShotScheduler

    def on_segment(how: str, segment: Segment) -> None:
        log.event("shots", state=how, first_frame=segment.shots.first, frames=len(segment.shots))

    with (
        farm(job.ray, job.settings, job.jobs, log) as cluster,
        ShotScheduler(
            job.source, job.target, job.settings, cluster, motion=job.report is not None, on_segment=on_segment
        ) as film,
    ):
        yield film


def look_ahead(job: Job, log: JsonLog) -> list[str]:
    """Say what `correct` would do."""
    from deflicker.pipeline import video as api

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

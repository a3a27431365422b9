"""`deflicker IN… --output-dir FOLDER`: many videos."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from deflicker.cli.batch import Batch, Outcome, Summary, Task, beside, run_all, tasks
from deflicker.cli.checks import check_extras, check_paths
from deflicker.cli.cluster import connect
from deflicker.cli.command import Command
from deflicker.cli.console import Console
from deflicker.cli.exit_codes import exit_status
from deflicker.cli.progress_bar import BatchBar
from deflicker.cli.run_options import RunOptions
from deflicker.report.model import Report

Work = Callable[[Task, Event, dict[str, Any]], Report]
"""Corrects one video, with these further arguments of `deflicker`; stops once the event is set."""


@dataclass(frozen=True, kw_only=True)
class BatchCommand(Command):
    """Correct many videos. Names of what was written go to standard output, everything else is for people."""

    options: RunOptions
    inputs: tuple[Path, ...]
    batch: Batch

    @property
    def start_event(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "batch": vars(self.batch), "settings": vars(self.options.settings)}

    def validate(self) -> None:
        """Nothing can be said before: each video is checked when its turn comes."""

    def run(self, console: Console) -> int:
        with console.batch_bar() as bar:
            for outcome in self._outcomes(console, bar):
                if outcome.state == "done" and str(self.log_json) != "-":
                    console.result(str(outcome.task.target))
                show = console.error if outcome.state == "failed" else console.message
                show(_line(outcome))
        console.message(
            f"videos: {bar.states.total()}, nothing written" if self.options.dry_run else f"videos: {bar.counts}"
        )
        return 1 if bar.states["failed"] else 0

    def _outcomes(self, console: Console, bar: BatchBar) -> Iterator[Outcome]:
        """What became of each video, as it ends. In the end the log gets a summary."""
        started = time.monotonic()
        todo = tasks(self.inputs, self.batch)
        if self.options.dry_run:
            for task in todo:
                bar.ended(outcome := Outcome(task, "skipped", f"would be written to {task.target}"))
                yield outcome
            return
        bar.begin(len(todo))
        reports, total = dict[Task, Report](), Summary()
        with self._workers(console, bar) as (count, process):

            def work(task: Task, stop: Event) -> str:
                reports[task] = self._process(task, stop, process)
                return _described(reports[task], task)

            batch = replace(self.batch, jobs=count)
            with closing(run_all(todo, batch, work, lambda error: exit_status(error)[1])) as outcomes:
                for outcome in outcomes:
                    report = reports.pop(outcome.task, None)
                    names = {"source": outcome.task.source, "target": outcome.task.target}
                    values = report.to_dict() if report else names
                    console.log.event("file", state=outcome.state, message=outcome.message, **values)
                    total.add(outcome, report)
                    bar.ended(outcome)
                    yield outcome
        console.log.event("end", elapsed_s=time.monotonic() - started, **total.to_dict())

    def _process(self, task: Task, stop: Event, process: Work) -> Report:
        """Correct one video, and write its report."""
        overwrite = self.options.settings.overwrite
        report_to, compare_to = (beside(task.target, name) for name in (self.options.report, self.options.compare))
        check_paths(task.source, task.target, overwrite)
        check_extras(task.source, task.target, report_to, compare_to, overwrite=overwrite)
        report = process(task, stop, self.options.extras(compare_to))
        if report_to is not None:
            report.save(report_to, overwrite=overwrite)
        return report

    @contextmanager
    def _workers(self, console: Console, bar: BatchBar) -> Iterator[tuple[int, Work]]:
        """How many videos are done at a time, and what does one of them: threads here, or machines of a cluster."""
        settings = self.options.settings
        if self.batch.ray is None:
            from deflicker.pipeline.session import Deflicker

            here = Deflicker(settings)

            def work(task: Task, stop: Event, extras: dict[str, Any]) -> Report:
                return here.file(task.source, task.target, cancel=stop, on_progress=partial(bar.step, task), **extras)

            yield self.batch.jobs or 1, work
            return
        with connect(self.batch.ray, settings, self.batch.jobs, console.log) as cluster:
            yield cluster.size, lambda task, stop, extras: cluster.file(task.source, task.target, stop, extras)


def _line(outcome: Outcome) -> str:
    """What became of one video, whose name stands once, even where its message begins with it."""
    name = str(outcome.task.source)
    return f"{outcome.state}: {name}: {outcome.message.removeprefix(name).removeprefix(':').lstrip()}"


def _described(report: Report, task: Task) -> str:
    return f"{report.frames_changed} of {report.frames} frames changed, written to {task.target}"

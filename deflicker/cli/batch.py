"""Many videos by one command: which files, where each goes, and what became of them."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

from deflicker.core.errors import Cancelled, InputError, SettingsError
from deflicker.report.model import Report

VIDEOS = frozenset({
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mxf", ".flv", ".3gp", ".nut", ".ogv"),
    *(".wmv", ".mpg", ".mpeg", ".vob", ".y4m", ".gif", ".webp", ".apng"),
})  # fmt: skip
"""Names in a folder that are taken for videos."""
_WRITTEN_AS = {".mpeg": ".mpg", ".vob": ".mpg"}
"""Names of the same format that outputs do not have."""


@dataclass(frozen=True)
class Batch:
    """Where the outputs go, and who makes them."""

    output_dir: Path | None = None
    """None for beside each input."""
    suffix: str = ""
    """Added to each name, before its extension."""
    recursive: bool = False
    """Also look into folders of folders; outputs lie in the same folders under `output_dir`."""
    jobs: int | None = None
    """Videos at a time; None is one here, and as many as a cluster has GPUs or machines."""
    skip_existing: bool = False
    ray: str | None = None
    """Address of the Ray cluster that does it."""
    beside: Path | None = None
    """What follows an output's name in that of a video beside it (`beside`), which is no input."""


@dataclass(frozen=True)
class Task:
    """One input and its output."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one task."""

    task: Task
    state: Literal["done", "skipped", "failed"]
    message: str


class Summary:
    """What became of all of them, for programs."""

    def __init__(self) -> None:
        self._states = Counter[str](done=0, skipped=0, failed=0)
        self._frames = self._changed = 0
        self._failures: list[dict[str, str]] = []

    def add(self, outcome: Outcome, report: Report | None) -> None:
        """Count one; report: of one that is done."""
        self._states[outcome.state] += 1
        if report is not None:
            self._frames += report.frames
            self._changed += report.frames_changed
        if outcome.state == "failed":
            self._failures.append({"source": str(outcome.task.source), "message": outcome.message})

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        sums = {"frames": self._frames, "frames_changed": self._changed, "failures": self._failures}
        return {"videos": self._states.total(), **self._states, **sums}


def beside(target: Path, name: Path | None) -> Path | None:
    """A further file of an output: `out/a.mp4` and `report.html` make `out/a.mp4.report.html`."""
    return None if name is None else target.with_name(f"{target.name}.{name}")


def tasks(paths: Sequence[Path], batch: Batch) -> list[Task]:
    """Every input with its output, in order. `paths`: files, folders, and patterns with `*` that no shell has expanded.

    Raises InputError where there is nothing, SettingsError where two inputs have one output or an input is its own.
    """
    found: dict[Path, Task] = {}
    for path in paths:
        for source, below in _sources(path, batch):
            target = _target(source, below, batch)
            if target.resolve() == source.resolve():
                raise SettingsError(f"{source} would be its own output: give --output-dir or --suffix")
            other = found.setdefault(target, Task(source, target))
            if other.source.resolve() != source.resolve():
                raise SettingsError(f"{other.source} and {source} would both become {target}: give them other names")
    if not found:
        raise InputError(f"there is no video in {', '.join(map(str, paths))}; --recursive searches subfolders")
    return list(found.values())


def _sources(path: Path, batch: Batch) -> Iterator[tuple[Path, Path]]:
    """Files, and the folder each lies in relative to what the user named."""
    if path.is_dir():
        inside = sorted(path.rglob("*") if batch.recursive else path.iterdir())
        away = batch.output_dir.resolve() if batch.output_dir and batch.output_dir.resolve() != path.resolve() else None
        for file in inside:
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if hidden or file.suffix.lower() not in VIDEOS or not file.is_file():
                continue
            ours = bool(batch.suffix) and file.stem.endswith(batch.suffix)  # an earlier run's
            ours = ours or (batch.beside is not None and file.name.endswith(f".{batch.beside}"))
            if not ours and not (away and file.resolve().is_relative_to(away)):
                yield file, file.parent.relative_to(path)
    elif path.exists() or not glob.has_magic(str(path)):
        yield path, Path()
    else:
        for name in sorted(glob.glob(str(path), recursive=batch.recursive)):
            if os.path.isfile(name):
                yield Path(name), Path()


def _target(source: Path, below: Path, batch: Batch) -> Path:
    folder = source.parent if batch.output_dir is None else batch.output_dir / below
    extension = _WRITTEN_AS.get(source.suffix.lower(), source.suffix)
    return folder / f"{source.stem}{batch.suffix}{extension}"


def run_all(
    todo: Sequence[Task], batch: Batch, work: Callable[[Task, Event], str], explain: Callable[[BaseException], str]
) -> Generator[Outcome, None, None]:
    """Do each task, `batch.jobs` at a time, and yield what became of it as it ends. One failure does not stop the rest.

    `work` returns words, and stops where its event is set: that happens where the caller closes this, or is
    interrupted. `explain` puts a failure into words.
    """
    stop = Event()

    def attempt(task: Task) -> Outcome:
        if stop.is_set():
            raise Cancelled("stopped")
        if batch.skip_existing and task.target.exists():
            return Outcome(task, "skipped", "already exists")
        try:
            task.target.parent.mkdir(parents=True, exist_ok=True)
            return Outcome(task, "done", work(task, stop))
        except Cancelled:
            raise
        except Exception as error:  # the others have nothing to do with it
            return Outcome(task, "failed", explain(error))

    with ThreadPoolExecutor(batch.jobs or 1, thread_name_prefix="deflicker-batch") as pool:
        try:
            for done in as_completed([pool.submit(attempt, task) for task in todo]):
                yield done.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

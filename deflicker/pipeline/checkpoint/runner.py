"""Corrections that go on where an interrupted run stopped, kept in case that this run is interrupted too."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deflicker.core.blocks import Damaged
from deflicker.core.errors import DeflickerError
from deflicker.correction.types import FrameRecord
from deflicker.media.probe import VideoInfo
from deflicker.pipeline.checkpoint.chain import CheckpointChain
from deflicker.pipeline.run_context import Run
from deflicker.pipeline.source_pictures import SourcePicture
from deflicker.pipeline.stages import Barrier, Stage, Step, build_steps, records, run_stages
from deflicker.pipeline.store.block_files import PartFile, read_state, write_state
from deflicker.pipeline.store.folder import Store

log = logging.getLogger("deflicker")

CHECKPOINT_S = 60.0
"""Time between two checkpoints: no more work is lost, and keeping it takes a small part of it."""


@dataclass(frozen=True, eq=False)
class _Snapshot(Barrier):
    """What the stages remember where this barrier lies."""

    frames_in: int
    states: dict[str, PartFile] = field(default_factory=dict)
    pictures: set[int] = field(default_factory=set)
    errors: list[OSError] = field(default_factory=list)

    def close(self) -> None:
        """Remove what is not complete."""
        for file in self.states.values():
            file.close()


class Checkpointer:
    """Progress towards one output, kept while a `with` block runs, and removed when it ends without an exception.

    Raises OutputError where another run keeps its own there.
    """

    def __init__(self, target: Path, every_s: float = CHECKPOINT_S) -> None:
        self._store, self._every_s = Store(target), every_s
        self._chain = CheckpointChain(self._store)
        self._keeps = True
        self._since, self._done, self._before = time.monotonic(), 0, 0
        self._barriers = 0
        self._on_the_way: list[_Snapshot] = []
        self.notes: list[str] = []

    def load(self, fingerprint: dict[str, str]) -> None:
        """Find what an earlier run under the same circumstances has left; anything else is removed, and said."""
        try:
            for wrong in self._chain.find() if self._store.begin(fingerprint) else []:
                log.warning("of the saved progress of an earlier run, %s: that part is computed again", wrong)
            if self._chain.last.number == 0:
                self._store.clear(fingerprint)
        except OSError as error:
            self._stop(error)

    def corrections(
        self, pictures: Iterator[SourcePicture], run: Run, info: VideoInfo
    ) -> Generator[FrameRecord, None, None]:
        """The correction of every frame: what was kept first, then what the stages find out."""
        last, needed = self._chain.last, dict[int, SourcePicture]()
        device, steps = run.device.torch_device, build_steps(run, info)
        if last.number:
            self.notes.append(f"continued after {last.frames} frames of an interrupted run")
            with _readable():
                for kept in self._chain.records(device):
                    yield replace(kept, picture=_next(pictures, needed, last.pictures))
                for _ in range(last.frames, last.frames_in):
                    _next(pictures, needed, last.pictures)
                self._load_states(steps, needed, run)
        del needed
        self._done, self._before, self._since = last.frames, last.frames_in, time.monotonic()
        with closing(
            run_stages(records(pictures, run.proxy_size, device), steps, device, threads=True, listener=self)
        ) as found:
            for each in found:
                if isinstance(each, _Snapshot):
                    self._finish(each)
                elif isinstance(each, FrameRecord):
                    self._add(each)
                    yield each

    def _load_states(self, steps: Iterable[Step], pictures: dict[int, SourcePicture], run: Run) -> None:
        for step in steps:
            with self._chain.state(step.name) as file:
                step.stage.load_state_dict(read_state(file, pictures, run.device.torch_device))

    def next_barrier(self, frames_in: int) -> Barrier | None:
        """A barrier where a checkpoint may be."""
        if not self._keeps or time.monotonic() - self._since < self._every_s:
            return None
        self._since, self._barriers = time.monotonic(), self._barriers + 1
        snapshot = _Snapshot(self._barriers, self._before + frames_in)
        self._on_the_way.append(snapshot)
        return snapshot

    def save_stage(self, barrier: Barrier, name: str, stage: Stage) -> None:
        """Write down what a stage remembers, on its own thread."""
        assert isinstance(barrier, _Snapshot)
        try:
            barrier.states[name] = file = self._chain.state_file(name, barrier.number)
            barrier.pictures.update(write_state(file, stage.state_dict()))
        except OSError as error:
            barrier.errors.append(error)

    def _add(self, record: FrameRecord) -> None:
        if self._keeps:
            try:
                self._chain.add(record)
            except OSError as error:
                self._stop(error)
        self._done += 1

    def _finish(self, snapshot: _Snapshot) -> None:
        """A barrier has come out: all before it is decided."""
        try:
            if self._keeps and snapshot.errors:
                raise snapshot.errors[0]
            if self._keeps and self._done > self._chain.last.frames:
                self._chain.finish(self._done, snapshot.frames_in, snapshot.pictures, snapshot.states)
        except OSError as error:
            self._stop(error)
        finally:
            snapshot.close()
            self._on_the_way.remove(snapshot)

    def _stop(self, error: OSError) -> None:
        """Progress that cannot be kept is no reason to end what works."""
        self._keeps = False
        self._chain.give_up()
        log.warning("progress is no longer saved, but the run continues: %s", error.strerror or error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        frames = self._chain.last.frames
        for snapshot in self._on_the_way:
            snapshot.close()
        self._chain.give_up()
        self._store.close(remove=kind is None or frames == 0)
        if kind is not None and frames:
            log.warning("progress is saved, %d frames: the same command with resume continues there", frames)


def _next(
    pictures: Iterator[SourcePicture], needed: dict[int, SourcePicture], wanted: tuple[int, ...]
) -> SourcePicture:
    """The next picture, set aside where it is wanted later."""
    picture = next(pictures, None)
    if picture is None:
        raise DeflickerError(
            "the input ends before the frames that an earlier run had corrected: run it again without resume"
        )
    if picture.index in wanted:
        needed[picture.index] = picture
    return picture


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (Damaged, KeyError) as error:
        raise DeflickerError(
            f"the saved progress of an earlier run cannot be used ({error}): run it again without resume"
        ) from error

"""Go on where an interrupted run stopped, and keep what is found out in case that this one is interrupted too."""

from __future__ import annotations

import io
import logging
import struct
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import torch

from deflicker.core.errors import DeflickerError
from deflicker.correction.types import Corrected
from deflicker.media.frame import Frame
from deflicker.pipeline.barriers import Mark, Marker
from deflicker.pipeline.checkpoint.fingerprint import differences
from deflicker.pipeline.checkpoint.serialize import Damaged, freeze, thaw
from deflicker.pipeline.checkpoint.store import Folder, Unfinished
from deflicker.pipeline.stages import Following, Standing

log = logging.getLogger("deflicker")

SEGMENT_S = 60.0
"""A segment is complete once it has taken this long: no more work is lost, and keeping it takes a small part of it."""
_LENGTH = struct.Struct("<Q")


class Decide(Protocol):
    """`pipeline.stages.decide` with all but these given."""

    def __call__(
        self, frames: Iterator[Frame], *, at: Standing[Frame], marker: Marker
    ) -> Generator[Corrected[Frame], None, None]:
        """The correction of every frame, and the marker's marks between them."""


class _Snapshot(Mark):
    """What the stages remember where this mark lies."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.states: dict[str, Unfinished] = {}
        self.held: set[int] = set()
        self.taken = 0
        self.error: OSError | None = None

    def close(self) -> None:
        """Leave unfinished what is."""
        for file in self.states.values():
            file.close()


class Keeping:
    """Progress towards one output, kept while a `with` block runs, and removed when it ends without an exception.

    Raises OutputError where another run keeps its own there.
    """

    def __init__(self, target: Path) -> None:
        self._folder = Folder(target)
        self._keeps = True
        self._since, self._done = time.monotonic(), 0
        self._named: Mapping[str, object] = {}
        self._marks = 0
        self._on_the_way: list[_Snapshot] = []
        self.notes: list[str] = []

    def look(self, about: dict[str, str]) -> None:
        """Find what an earlier run under the same circumstances has left; anything else is forgotten, and said."""
        try:
            before = self._folder.about()
            other = differences(before, about) if before is not None else []
            if other:
                what = f"{', '.join(other)} {'differs' if len(other) == 1 else 'differ'}"
                log.warning("what an earlier run had kept is not used, because %s: starting afresh", what)
            for wrong in self._folder.find() if before is not None and not other else []:
                log.warning("of what an earlier run had kept, %s: that part is done again", wrong)
            if self._folder.segment.number == 0:
                self._folder.begin(about)
        except OSError as error:
            self._stop(error)

    def go_on(
        self, frames: Iterator[Frame], decide: Decide, named: Mapping[str, object], device: torch.device
    ) -> Generator[Corrected[Frame], None, None]:
        """The correction of every frame: what was kept first, then what `decide` finds out.

        named: what the stages hold and every run has, by name.
        """
        last, held = self._folder.segment, dict[int, Frame]()
        at: Standing[Frame] = Standing()
        if last.number:
            self.notes.append(f"went on after {last.frames} frames that an interrupted run had decided")
        with _readable():
            for kept in self._kept(device):
                yield replace(kept, item=_next(frames, held, last.held))
            for _ in range(last.frames, last.taken):
                _next(frames, held, last.held)
            for stage in last.states:
                with self._folder.state(stage) as file:
                    setattr(at, stage, thaw(file, named, held, device))
        del held
        self._done, self._named, self._since = last.frames, named, time.monotonic()
        with closing(decide(frames, at=at, marker=self)) as decided:
            for frame in decided:
                if isinstance(frame, _Snapshot):
                    self._finish(frame)
                else:
                    self._add(frame)
                    self._done += 1
                    yield frame

    def mark(self) -> Mark | None:
        """A mark where a segment may end."""
        if not self._keeps or time.monotonic() - self._since < SEGMENT_S:
            return None
        self._since, self._marks = time.monotonic(), self._marks + 1
        snapshot = _Snapshot(self._marks)
        self._on_the_way.append(snapshot)
        return snapshot

    def seen(self, mark: Mark, stage: str, memory: object) -> None:
        """Write down what a stage remembers, on its own thread."""
        assert isinstance(mark, _Snapshot)
        if isinstance(memory, Following):
            mark.taken = memory.frames
        try:
            mark.states[stage] = file = self._folder.state_to_be(stage, mark.number)
            mark.held |= freeze(memory, file, self._named)
        except OSError as error:
            mark.error = error

    def _kept(self, device: torch.device) -> Iterator[Corrected[Any]]:
        for number in range(1, self._folder.segment.number + 1):
            with self._folder.frames(number) as file:
                while head := file.read(_LENGTH.size):
                    yield thaw(io.BytesIO(file.read(_LENGTH.unpack(head)[0])), {}, {}, device)

    def _add(self, frame: Corrected[Frame]) -> None:
        if not self._keeps:
            return
        record = io.BytesIO()
        bare: Corrected[Any] = frame  # the frame itself is decoded again, and motion has served
        freeze(replace(bare, item=None, forward_px=None, backward_px=None), record, {})
        try:
            self._folder.add(lambda file: file.write(_LENGTH.pack(record.tell()) + record.getbuffer()))
        except OSError as error:
            self._stop(error)

    def _finish(self, snapshot: _Snapshot) -> None:
        """A mark has come out: all before it is decided."""
        try:
            if snapshot.error and self._keeps:
                raise snapshot.error
            if self._keeps and self._done > self._folder.segment.frames:
                self._folder.finish(self._done, snapshot.taken, snapshot.held, snapshot.states)
        except OSError as error:
            self._stop(error)
        finally:
            snapshot.close()
            self._on_the_way.remove(snapshot)

    def _stop(self, error: OSError) -> None:
        """Progress that cannot be kept is no reason to end what works."""
        self._keeps = False
        self._folder.give_up()
        log.warning("progress is not kept any further, but the run goes on: %s", error.strerror or error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        frames = self._folder.segment.frames
        for snapshot in self._on_the_way:
            snapshot.close()
        self._folder.close(remove=kind is None or frames == 0)
        if kind is not None and frames:
            log.warning("progress is kept, %d frames: the same command with resume goes on there", frames)


def _next(frames: Iterator[Frame], held: dict[int, Frame], wanted: tuple[int, ...]) -> Frame:
    """The next frame, set aside where it is wanted later."""
    frame = next(frames, None)
    if frame is None:
        raise DeflickerError("the input ends before what an earlier run had decided: run it again without resume")
    if frame.index in wanted:
        held[frame.index] = frame
    return frame


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Damaged as error:
        raise DeflickerError(
            f"what an earlier run had kept cannot be used ({error}): run it again without resume"
        ) from error

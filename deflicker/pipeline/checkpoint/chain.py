"""Checkpoints of one run in the store: each whole, with its hashes, or not there.

A checkpoint is some files: `N.frames`, the decisions on the frames since the one before; `N.motion` and so on, what
each stage remembered after them; and `N.json`, with the hashes of them and of all frames before, and its own. Each
is written under another name, forced to the disk and renamed, in this order: where the last is there, all are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import BinaryIO

import torch

from deflicker.correction.types import FrameRecord
from deflicker.pipeline.store.block_files import PartFile, read_records, write_record
from deflicker.pipeline.store.folder import Store

_STATES = 2
"""States that are kept: the newest, and one more in case that it cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a run had come."""

    number: int = 0
    frames: int = 0
    """Frames decided up to here."""
    frames_in: int = 0
    """Frames that the stages had taken in."""
    pictures: tuple[int, ...] = ()
    """Those of them that they still need."""
    states: dict[str, str] = field(default_factory=dict)
    """Hashes of what each stage remembers."""
    hashes: tuple[str, ...] = ()
    """Of the frames' files up to here."""


class CheckpointChain:
    """The checkpoints in a store. All methods raise OSError; the checkpoints before stay good."""

    def __init__(self, store: Store) -> None:
        self._store, self.last = store, Checkpoint()
        self._frames: PartFile | None = None

    def find(self) -> list[str]:
        """Take the newest checkpoint that can be trusted as the last; what is wrong with newer ones."""
        wrong: list[str] = []
        numbers = [int(path.stem) for path in self._store.path.glob("*.json") if path.stem.isdigit()]
        for number in sorted(numbers, reverse=True):
            try:
                self.last = self._checked(number)
                break
            except (OSError, ValueError, KeyError, TypeError) as error:
                wrong.append(str(error))
        return wrong

    def _checked(self, number: int) -> Checkpoint:
        found = self._store.unsealed(f"{number}.json")
        last = Checkpoint(**found | {"pictures": tuple(found["pictures"]), "hashes": tuple(found["hashes"])})
        if last.number != number or len(last.hashes) != number:
            raise ValueError(f"{number}.json belongs to another checkpoint")
        expected = {f"{number}.{stage}": value for stage, value in last.states.items()}
        expected |= {f"{at}.frames": value for at, value in enumerate(last.hashes, 1)}
        for name, value in expected.items():
            with (self._store.path / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != value:
                    raise ValueError(f"{name} is damaged")
        return last

    def records(self, device: torch.device) -> Iterator[FrameRecord]:
        """The decisions on all frames up to the last checkpoint. Raises Damaged, too."""
        for number in range(1, self.last.number + 1):
            with (self._store.path / f"{number}.frames").open("rb") as file:
                yield from read_records(file, device)

    def state(self, stage: str) -> BinaryIO:
        """What a stage remembered at the last checkpoint, open."""
        return (self._store.path / f"{self.last.number}.{stage}").open("rb")

    def state_file(self, stage: str, barrier: int) -> PartFile:
        """A file for what a stage remembers at some checkpoint to come."""
        return PartFile(self._store.path / f"barrier-{barrier}.{stage}")

    def add(self, record: FrameRecord) -> None:
        """Write one more frame of the checkpoint that is being made."""
        if self._frames is None:
            self._frames = PartFile(self._store.path / f"{self.last.number + 1}.frames")
        write_record(self._frames, record)

    def finish(self, frames: int, frames_in: int, pictures: Iterable[int], states: Mapping[str, PartFile]) -> None:
        """Complete a checkpoint of what was added."""
        assert self._frames is not None
        number = self.last.number + 1
        hashes = (*self.last.hashes, self._frames.complete())
        kept = {stage: file.complete(self._store.path / f"{number}.{stage}") for stage, file in states.items()}
        last = Checkpoint(number, frames, frames_in, tuple(sorted(pictures)), kept, hashes)
        self._store.seal(f"{number}.json", asdict(last))
        self._frames, self.last = None, last
        for ending in ("json", *kept):
            (self._store.path / f"{number - _STATES}.{ending}").unlink(missing_ok=True)

    def give_up(self) -> None:
        """Leave out what is not finished; what is finished stays."""
        frames, self._frames = self._frames, None
        if frames is not None:
            frames.close()
        self._store.remove_parts()

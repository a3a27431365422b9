"""Files of blocks (`core.blocks`), each preceded by its length: the decisions on frames, and what stages remember."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import torch

from deflicker.core.blocks import Damaged, Packer, unpack
from deflicker.correction.types import FrameRecord

PART = ".part"
"""Suffix of a file that is not complete."""
_LENGTH = struct.Struct("<Q")


class Sink(Protocol):
    """What can be written to."""

    def write(self, data: Any, /) -> object:
        """Take some bytes."""


class PartFile:
    """A file that is written under another name and gets its own when it is complete. All methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._hash = path, hashlib.sha256()
        # A name of its own, so that two processes never write the same file.
        self._file = open(path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}"), "wb")  # noqa: SIM115  # complete or close closes it

    def write(self, data: Any) -> int:
        """Add some bytes."""
        self._hash.update(data)
        return self._file.write(data)

    def complete(self, path: Path | None = None) -> str:
        """Force it to the disk and give it its name, or another; the hash of what was written."""
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._file.name, path or self._path)
        return self._hash.hexdigest()

    def close(self) -> None:
        """Forget it, unless it is complete."""
        with contextlib.suppress(OSError):
            self._file.close()
            os.unlink(self._file.name)


def write_record(file: Sink, record: FrameRecord, *, motion: bool = False) -> None:
    """Add the decision on a frame. motion: with its flow, which only a report asks for. Raises OSError."""
    _write(file, Packer().pack(record.decision(motion=motion)))


def read_records(file: BinaryIO, device: torch.device) -> Iterator[FrameRecord]:
    """The decisions of a file, in order. Raises Damaged or OSError."""
    for block in _blocks(file):
        record = unpack(block, {}, device)
        if not isinstance(record, FrameRecord):
            raise Damaged("it does not contain frames")
        yield record


def write_state(file: Sink, state: Mapping[str, object]) -> set[int]:
    """Write what a stage remembers; the numbers of the pictures in it. Raises OSError.

    What is in a list gets a block of its own, so that no more than one of them is in memory twice.
    """
    packer = Packer()
    for name, value in state.items():
        rows = value if isinstance(value, list) else [value]
        _write(file, packer.pack({"name": name, "rows": len(rows) if rows is value else None}))
        for row in rows:
            _write(file, packer.pack(row))
    return packer.pictures


def read_state(file: BinaryIO, pictures: Mapping[int, object], device: torch.device) -> dict[str, Any]:
    """What `write_state` wrote. Raises Damaged or OSError."""
    state: dict[str, Any] = {}
    blocks = _blocks(file)
    for head in blocks:
        match unpack(head, {}, device):
            case {"name": str(name), "rows": None}:
                state[name] = unpack(next(blocks, b""), pictures, device)
            case {"name": str(name), "rows": int(count)}:
                state[name] = [unpack(next(blocks, b""), pictures, device) for _ in range(count)]
            case _:
                raise Damaged("it does not contain a stage")
    return state


def _write(file: Sink, block: bytes) -> None:
    file.write(_LENGTH.pack(len(block)))
    file.write(block)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while head := file.read(_LENGTH.size):
        if len(head) < _LENGTH.size:
            raise Damaged("it ends early")
        (length,) = _LENGTH.unpack(head)
        block = file.read(length)
        if len(block) < length:
            raise Damaged("it ends early")
        yield block

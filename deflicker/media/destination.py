"""Output targets: a file, numbered images, or a stream such as a pipe."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from deflicker.core.errors import OutputError, ReaderGone
from deflicker.media.file_target import FileTarget
from deflicker.media.image_pattern import image_sequence
from deflicker.media.sequence_target import SequenceTarget

Destination = str | os.PathLike[str] | BinaryIO
"""A file's name, a pattern for numbered images, or a stream to write to: a pipe, which need not seek."""

_HELD_BYTES = 16 << 20
"""Up to this size, data buffered for a pipe stays in memory."""


class PipeTarget:
    """A stream to write to. Data is buffered until `confirm` says that it will be the output.

    Raises ReaderGone where the other end is closed, OutputError where writing fails otherwise.
    """

    path = Path("-")
    notes: tuple[str, ...] = ()

    def __init__(self, stream: BinaryIO, *, dry_run: bool = False) -> None:
        self._stream = stream
        self._dry_run = dry_run
        self._held: Any = None
        self._confirmed = self._stopped = False

    @property
    def sink(self) -> PipeTarget | io.BytesIO:
        """What to open for writing."""
        return io.BytesIO() if self._dry_run else self

    def write(self, data: bytes) -> int:
        """Buffer the data, or pass it on. FFmpeg calls this."""
        if not self._stopped:
            if self._confirmed:
                self._pass_on(data)
            else:
                self._hold(data)
        return len(data)

    def _hold(self, data: bytes) -> None:
        if self._held is None:
            self._held = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115  # confirm or discard closes it
        self._held.write(data)

    def confirm(self) -> None:
        """Write out what was buffered, and pass on everything from now on at once."""
        if self._confirmed or self._stopped or self._dry_run:
            return
        self._confirmed = True
        if self._held is not None:
            self._held.seek(0)
            while block := self._held.read(1 << 20):
                self._pass_on(block)
            self._held.close()

    def _pass_on(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:  # an unbuffered stream takes what fits
                rest = rest[self._stream.write(rest) or 0 :]
        except BrokenPipeError:
            self._stopped = True
            raise ReaderGone("the program that reads the output has ended") from None
        except OSError as error:
            self._stopped = True
            raise OutputError(f"the output stream cannot be written: {error.strerror or error}") from error

    @property
    def written(self) -> BinaryIO:
        """The buffered data, as a file on disk: PyAV finds no streams in one without a name."""
        assert self._held is not None
        self._held.rollover()
        return self._held  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ignore further data: half a video must not get a trailer that makes it look complete."""
        self._stopped = True

    def commit(self) -> None:
        """The video is complete."""
        self.confirm()
        if not self._dry_run:
            self._stream.flush()

    def discard(self) -> None:
        """Drop the buffered data; what was passed on cannot be taken back."""
        self._stopped = True
        if self._held is not None:
            self._held.close()


def open_target(
    target: Destination, *, source: Path, overwrite: bool, dry_run: bool = False
) -> FileTarget | SequenceTarget | PipeTarget:
    """The target that `target` names. Raises OutputError as `FileTarget` does."""
    if isinstance(target, str | os.PathLike) and (images := image_sequence(Path(target))):
        return SequenceTarget(images, source=source, overwrite=overwrite, dry_run=dry_run)
    if isinstance(target, str | os.PathLike):
        return FileTarget(Path(target), source=source, overwrite=overwrite, dry_run=dry_run)
    return PipeTarget(target, dry_run=dry_run)


def name_of(target: Destination) -> str:
    """The output's name, for people; `-` for a stream."""
    return os.fspath(target) if isinstance(target, str | os.PathLike) else "-"

"""Where the output goes, a pipe among others."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from deflicker.core.errors import OutputError, ReaderGone
from deflicker.media.file_target import Target
from deflicker.media.image_pattern import numbered
from deflicker.media.sequence_target import Images

Destination = str | os.PathLike[str] | BinaryIO
"""A file's name, a pattern for numbered images, or a stream to write to: a pipe, which need not seek."""

_HELD_BYTES = 16 << 20
"""Up to here what is held back for a pipe stays in memory."""


class Pipe:
    """A stream to write to. What comes is held back until it is certain that it will be the output.

    Raises ReaderGone where the other end is closed, OutputError where writing fails otherwise.
    """

    path = Path("-")
    notes: tuple[str, ...] = ()

    def __init__(self, stream: BinaryIO, *, trial: bool = False) -> None:
        self._stream = stream
        self._trial = trial
        self._held: Any = None
        self._released = self._stopped = False

    @property
    def sink(self) -> Pipe | io.BytesIO:
        """What to open for writing."""
        return io.BytesIO() if self._trial else self

    def write(self, data: bytes) -> int:
        """Hold it back, or pass it on. FFmpeg calls this."""
        if not self._stopped:
            if self._released:
                self._pass_on(data)
            else:
                self._hold(data)
        return len(data)

    def _hold(self, data: bytes) -> None:
        if self._held is None:
            self._held = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115  # release or discard closes it
        self._held.write(data)

    def release(self) -> None:
        """It is certain: pass on what was held back, and from now on everything at once."""
        if self._released or self._stopped or self._trial:
            return
        self._released = True
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
        """What is held back, as a file: PyAV finds no streams in one that has no name yet."""
        assert self._held is not None
        self._held.rollover()
        return self._held  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Take no more: half a video must not get an ending that makes it look whole."""
        self._stopped = True

    def commit(self) -> None:
        """The video is complete."""
        self.release()
        if not self._trial:
            self._stream.flush()

    def discard(self) -> None:
        """Forget what is held back; what was passed on is gone."""
        self._stopped = True
        if self._held is not None:
            self._held.close()


def open_target(target: Destination, *, source: Path, overwrite: bool, trial: bool = False) -> Target | Images | Pipe:
    """Where the output goes. Raises OutputError as `Target` does."""
    if isinstance(target, str | os.PathLike) and (images := numbered(Path(target))):
        return Images(images, source=source, overwrite=overwrite, trial=trial)
    if isinstance(target, str | os.PathLike):
        return Target(Path(target), source=source, overwrite=overwrite, trial=trial)
    return Pipe(target, trial=trial)


def name_of(target: Destination) -> str:
    """The output's name, for people; `-` for a stream."""
    return os.fspath(target) if isinstance(target, str | os.PathLike) else "-"

"""The output: a file that is complete or not there at all, or a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from deflicker.errors import OutputError, ReaderGone
from deflicker.media.images import Images
from deflicker.numbered import numbered

Destination = str | os.PathLike[str] | BinaryIO
"""A file's name, or a stream to write to: a pipe, which need not seek."""

_HELD_BYTES = 16 << 20
"""Up to here what is held back for a pipe stays in memory."""


class Target:
    """A file that is written beside its final place and moved there when complete.

    Raises OutputError where `path` exists and `overwrite` is off, is the `source` itself, or cannot be written.
    A `trial` is checked in the same way, and then written to memory and forgotten.
    """

    def __init__(self, path: str | Path, *, source: Path, overwrite: bool, trial: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        self._trial = trial
        self.notes: tuple[str, ...] = ()
        self._check(source)
        # The suffix stays last: FFmpeg chooses the container by it.
        self.temporary = self.path.with_name(f".{self.path.stem}.{secrets.token_hex(4)}.part{self.path.suffix}")

    @property
    def sink(self) -> str | io.BytesIO:
        """What to open for writing."""
        return io.BytesIO() if self._trial else str(self.temporary)

    def _check(self, source: Path) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise OutputError(f"there is no folder {folder}: create it first")
        if self.path.is_dir():
            raise OutputError(f"{self.path} is a folder: give the name of a file")
        if self.path.exists() and source.exists() and os.path.samefile(self.path, source):
            raise OutputError(f"{self.path} is the input itself: choose another name for the output")
        if self.path.exists() and not self.path.is_file():
            raise OutputError(f"{self.path} is no regular file: choose another name for the output")
        if self.path.exists() and not self._overwrite:
            raise OutputError(self._exists_already)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {folder} cannot be written to: choose another, or change its permissions")

    @property
    def _exists_already(self) -> str:
        return f"{self.path} exists already: choose another name, or allow overwriting"

    def release(self) -> None:
        """Nothing to let go: a file is moved when it is complete."""

    def stop(self) -> None:
        """What is still written goes with the file."""

    def commit(self) -> None:
        """Move the finished file to its place. Raises OutputError where another one appeared there meanwhile."""
        if self._trial:
            return
        try:
            if self._overwrite:
                os.replace(self.temporary, self.path)
            else:
                self._move_without_replacing()
        except OSError as error:
            self.discard()
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _move_without_replacing(self) -> None:
        try:
            os.link(self.temporary, self.path)  # fails where the name is taken, unlike a rename
        except FileExistsError:
            self.discard()
            raise OutputError(self._exists_already) from None
        except OSError:  # a file system without hard links
            if self.path.exists():
                self.discard()
                raise OutputError(self._exists_already) from None
            os.rename(self.temporary, self.path)
        else:
            self.discard()

    def discard(self) -> None:
        """Remove the unfinished file."""
        with contextlib.suppress(FileNotFoundError):
            self.temporary.unlink()


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

"""The input as a file that can be read more than once: a pipe is stored first."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from deflicker.core.errors import InputError, OutputError
from deflicker.core.files import TemporaryFolder
from deflicker.core.options import ReadOptions
from deflicker.media.destination import Destination
from deflicker.media.input_format import detect_input_format
from deflicker.media.probe import VideoInfo, probe

Source = str | os.PathLike[str] | BinaryIO
"""A file's name, a pattern for numbered images, or a stream to read from, which need not seek."""

log = logging.getLogger("deflicker")


@dataclass(frozen=True)
class OpenedSource:
    """A readable input."""

    name: str
    """For people; `-` for a stream."""
    info: VideoInfo


@contextmanager
def open_source(
    source: Source, options: ReadOptions = ReadOptions(), *, target: Destination | None = None
) -> Iterator[OpenedSource]:
    """Open the input for the duration of the block.

    A stream or a named pipe is stored in a file first, since a video is read more than once: beside `target`
    where that is a file, else in the system's temporary folder (`TMPDIR`). Raises InputError as `probe` does.
    """
    if isinstance(source, str | os.PathLike) and not Path(source).is_fifo():
        path = Path(source)
        yield OpenedSource(os.fspath(source), probe(path, options.limits, detect_input_format(path, options)))
        return
    with _stored(source, Path(target) if isinstance(target, str | os.PathLike) else None) as path:
        try:
            info = probe(path, options.limits, detect_input_format(path, options))
            note = f"a pipe can be read only once, so the input was stored first ({_size(path)})"
            yield OpenedSource("-", replace(info, notes=(*info.notes, note)))
        except InputError as error:  # its name means nothing to anybody
            raise InputError(str(error).replace(str(path), "the input stream")) from error


@contextmanager
def _stored(source: Source, target: Path | None) -> Iterator[Path]:
    """A temporary file with the whole content of the stream."""
    place = target or Path(tempfile.gettempdir()) / "deflicker"
    with ExitStack() as stack:
        try:
            path = stack.enter_context(closing(TemporaryFolder.beside(place))).path / place.name
            log.info("storing the input stream in %s", path)
            with path.open("wb") as file, _opened(source) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
        except OSError as error:
            raise OutputError(f"the input stream cannot be stored: {error.strerror or error}") from error
        if path.stat().st_size == 0:
            raise InputError("the input stream is empty: the program before it wrote nothing")
        yield path


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as stream:
            yield stream
    else:
        yield source


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 2**20:.1f} MiB"

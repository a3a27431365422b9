"""Open a file for demuxing: what is not a video is refused in one line, and hostile headers are limited."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import InputError
from deflicker.core.options import Limits
from deflicker.media.discontinuity import Joiner, may_be_joined
from deflicker.media.file_access import access, address, path_of, pattern_address, playlist
from deflicker.media.input_format import InputFormat, detect_input_format
from deflicker.media.webp import WebpStream, canvas_size, is_animated_webp

MAX_STREAMS = 100
"""Streams in a file. Recordings of a whole transponder have some dozens."""
_READ_ERRORS = 100
"""Places where reading may fail before a file is given up."""


def open_input(
    path: Path, limits: Limits = Limits(), input_format: InputFormat | None = None
) -> av.container.InputContainer:
    """Open `path` for demuxing. `input_format`: detected if None.

    Raises InputError that says what is wrong with it.
    """
    input_format = input_format or detect_input_format(path)
    head = b"" if input_format.name == "image2" else _head(path)
    source: Any = pattern_address(path) if input_format.name == "image2" else address(path)
    if is_animated_webp(head):
        limits.check(path, *canvas_size(head))
        source = WebpStream(path)
    # One more than allowed: FFmpeg leaves out, in silence or as "out of memory", what is beyond its own bound.
    options = {"max_pixels": str(limits.pixels), "max_streams": str(MAX_STREAMS + 1)}
    # A file-like object brings its own reading, and its one demuxer.
    options |= access("matroska" if isinstance(source, WebpStream) else input_format.name) | dict(input_format.options)
    crowd = f"{path} claims more than {MAX_STREAMS} streams: its header is damaged, or split it first"
    try:
        # metadata_errors: a tag in some old encoding is no reason to refuse a video.
        container: av.container.InputContainer = av.open(
            source, format=input_format.name, metadata_errors="replace", options=options
        )
        if len(container.streams) <= MAX_STREAMS:
            return container
        container.close()
        raise InputError(crowd)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.ArgumentError):  # what the list of demuxers refuses
            reason = "its file type does not hold video by itself"
        raise InputError(f"{path} cannot be read as a video: {reason}") from error
    except MemoryError:
        raise InputError(crowd) from None


def _head(path: Path) -> bytes:
    """The first bytes of a file. Raises InputError where it is not a file or cannot be a video."""
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name")
    if not path.is_file():
        raise InputError(f"{path} is not a file: give a video file")
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes): it was probably never downloaded or written in full")
    if head.startswith(b"version https://git-lfs") or b"/annex/objects/" in head:
        raise InputError(f"{path} is a git-lfs or git-annex pointer, not the video: fetch it (git lfs pull)")
    if kind := playlist(head):
        raise InputError(f"{path} is {kind}, which only names other files: give the video itself")
    return head


def predecoded_codec(path: Path) -> str | None:
    """The codec of a file that `open_input` decodes itself (animated WebP); None for all others."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return "webp" if is_animated_webp(file.read(256)) else None


def packets(
    container: av.container.InputContainer, *, losses: list[str] | None = None, joiner: Joiner | None = None
) -> Iterator[av.Packet[Any]]:
    """Demux every stream; damage in the middle is counted in `losses` and skipped, up to a bound.

    `joiner` gives the parts of joined streams consecutive times, as does a new one where none is given.
    Raises InputError where it is not the file that is damaged, but the disk or the network that fails.
    """
    joined, joiner = may_be_joined(container), joiner or Joiner()
    for _ in range(_READ_ERRORS):
        try:
            for packet in container.demux():
                if joined:
                    joiner.shift(packet)
                yield packet
            return
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, av.FFmpegError):
                check_storage(path_of(container.name), error)
            if losses is not None:
                losses.append(error.strerror or str(error))
            if not isinstance(error, av.FFmpegError):
                return  # a WebP's stream is over where a picture fails


_STORAGE_LOST = {
    getattr(errno, name)
    for name in ("ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "ETIMEDOUT", "ECONNRESET", "EREMOTEIO", "EHOSTDOWN")
    if hasattr(errno, name)
}
"""Errors that mean a lost disk or share."""


def check_storage(path: Path, error: OSError | av.FFmpegError) -> None:
    """Raise InputError where reading failed for a reason outside the file.

    Demuxers report truncated files as EIO too, so in this case the file is read once, without understanding it.
    """
    lost = error.errno in _STORAGE_LOST
    if error.errno == errno.EIO:
        try:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass
        except OSError as found:
            lost, error = True, found
    if lost:
        raise InputError(f"{path} could not be read to its end: {error.strerror}: check its disk or network") from error

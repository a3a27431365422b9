"""Files opened for reading, also those that must be told what they are: raw frames and numbered images."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from deflicker.errors import InputError, SettingsError
from deflicker.numbered import Numbered, numbered
from deflicker.settings import Settings

MAX_PIXELS = 1 << 28
"""16384 x 16384. A header that claims more is a mistake or an attack: one frame of it takes gigabytes."""
_RATE = Fraction(24)
"""Frames a second of numbered images where nobody says."""


@dataclass(frozen=True)
class Opening:
    """What FFmpeg must be told to read a file: nothing, where the file says it."""

    format: str | None = None
    options: tuple[tuple[str, str], ...] = ()


def opening_of(path: Path, settings: Settings) -> Opening:
    """How to open `path`. Raises SettingsError where an option does not fit it, InputError where images are missing."""
    images = numbered(path)
    if settings.fps is not None and images is None:
        raise SettingsError(f"fps is for numbered images such as frames/%05d.png: {path} has times of its own")
    if settings.raw_video is not None:
        raw = settings.raw_video
        try:
            av.VideoFormat(raw.pix_fmt)
        except ValueError:
            raise SettingsError(f"there is no pixel format {raw.pix_fmt!r} for raw video: try rgb24") from None
        size = ("video_size", f"{raw.width}x{raw.height}")
        return Opening("rawvideo", (size, ("pixel_format", raw.pix_fmt), ("framerate", str(raw.fps))))
    return _images(images, settings.fps) if images else Opening()


def _images(images: Numbered, fps: Fraction | None) -> Opening:
    first = str(images.span()[0])
    return Opening("image2", (("framerate", str(fps or _RATE)), ("start_number", first)))


def open_input(path: Path, opening: Opening | None = None) -> av.container.InputContainer:
    """Open `path` for demuxing. Raises InputError that says what is wrong with it."""
    images = numbered(path)
    opening = opening or (_images(images, None) if images else Opening())
    if images is None:
        _check(path)
    options = {"max_pixels": str(MAX_PIXELS)} | dict(opening.options)
    try:
        # metadata_errors: a tag in some old encoding is no reason to refuse a video.
        return av.open(str(path), format=opening.format, metadata_errors="replace", options=options)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} is no video that can be read: {reason}") from error


def _check(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name")
    if not path.is_file():
        raise InputError(f"{path} is no file: give one video file")
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes): it was probably never downloaded or written in full")
    if head.startswith(b"version https://git-lfs") or b"/annex/objects/" in head:
        raise InputError(f"{path} is a git-lfs or git-annex pointer, not the video: fetch it (git lfs pull)")

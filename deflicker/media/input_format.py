"""Demuxer and options for files that do not name their own format: raw frames and numbered images."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from deflicker.core.errors import SettingsError
from deflicker.core.options import ReadOptions
from deflicker.media.image_pattern import ImageSequence, image_sequence

_RATE = Fraction(24)
"""Frames per second of numbered images by default."""


@dataclass(frozen=True)
class InputFormat:
    """A demuxer and its options; neither where the file names its own format."""

    name: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def rate(self) -> Fraction | None:
        """Frames per second, where the options state them."""
        return Fraction(dict(self.options)["framerate"]) if self.name else None


def detect_input_format(path: Path, options: ReadOptions = ReadOptions()) -> InputFormat:
    """The demuxer and options that `path` needs.

    Raises SettingsError where an option does not fit, InputError where images are missing.
    """
    images = image_sequence(path)
    if options.fps is not None and images is None:
        raise SettingsError(f"fps is for numbered images such as frames/%05d.png: {path} has its own time stamps")
    if options.raw_video is not None:
        raw = options.raw_video
        try:
            av.VideoFormat(raw.pix_fmt)
        except ValueError:
            raise SettingsError(f"there is no pixel format {raw.pix_fmt!r} for raw video: try rgb24") from None
        size = ("video_size", f"{raw.width}x{raw.height}")
        return InputFormat("rawvideo", (size, ("pixel_format", raw.pix_fmt), ("framerate", str(raw.fps))))
    return _images(images, options.fps or _RATE) if images else InputFormat()


def _images(images: ImageSequence, fps: Fraction) -> InputFormat:
    return InputFormat("image2", (("framerate", str(fps)), ("start_number", str(images.span()[0]))))

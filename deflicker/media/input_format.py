"""What FFmpeg must be told to read files that do not say it themselves: raw frames and numbered images."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from deflicker.core.errors import SettingsError
from deflicker.core.options import ReadOptions
from deflicker.media.image_pattern import Numbered, numbered

_RATE = Fraction(24)
"""Frames a second of numbered images where nobody says."""


@dataclass(frozen=True)
class Description:
    """A format and its options; neither, where the file says it."""

    format: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def rate(self) -> Fraction | None:
        """Frames a second, where they are told."""
        return Fraction(dict(self.options)["framerate"]) if self.format else None


def describe(path: Path, options: ReadOptions = ReadOptions()) -> Description:
    """What to say of `path`. Raises SettingsError where an option does not fit, InputError where images are missing."""
    images = numbered(path)
    if options.fps is not None and images is None:
        raise SettingsError(f"fps is for numbered images such as frames/%05d.png: {path} has its own time stamps")
    if options.raw_video is not None:
        raw = options.raw_video
        try:
            av.VideoFormat(raw.pix_fmt)
        except ValueError:
            raise SettingsError(f"there is no pixel format {raw.pix_fmt!r} for raw video: try rgb24") from None
        size = ("video_size", f"{raw.width}x{raw.height}")
        return Description("rawvideo", (size, ("pixel_format", raw.pix_fmt), ("framerate", str(raw.fps))))
    return _images(images, options.fps or _RATE) if images else Description()


def _images(images: Numbered, fps: Fraction) -> Description:
    return Description("image2", (("framerate", str(fps)), ("start_number", str(images.span()[0]))))

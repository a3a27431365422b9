"""Frames without a file format around them: what FFmpeg must be told to read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from deflicker.errors import SettingsError

_RAW = re.compile(r"(\d{1,5})x(\d{1,5})@(.+)")
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?:/(\d{1,9}))?")


def parse_rate(text: str) -> Fraction:
    """Read frames a second: `24`, `23.976` or `24000/1001`.

    Raises SettingsError where the text is none, or none above 0.
    """
    match = _RATE.fullmatch(text.strip())
    if not match or Fraction(match[1]) == 0 or (match[2] and int(match[2]) == 0):
        raise SettingsError(f"{text!r} is no frame rate: write 24, 23.976 or 24000/1001")
    return Fraction(match[1]) / int(match[2] or 1)


@dataclass(frozen=True)
class RawVideo:
    """Frame after frame, nothing between them."""

    width: int
    height: int
    fps: Fraction
    pix_fmt: str = "rgb24"
    """FFmpeg pixel format of the frames."""

    @classmethod
    def parse(cls, text: str) -> RawVideo:
        """Read `1920x1080@24`. Raises SettingsError where the text is not of this form."""
        match = _RAW.fullmatch(text.strip())
        if not match or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
            raise SettingsError(f"{text!r} describes no raw video: write WIDTHxHEIGHT@FPS, such as 1920x1080@24")
        return cls(int(match[1]), int(match[2]), parse_rate(match[3]))

"""Values that a user writes as text: times, spans, sizes, frame rates, raw video."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from deflicker.core.errors import SettingsError

_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)s?")


_SIZE = re.compile(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


@dataclass(frozen=True)
class TimePoint:
    """A place in a video: seconds from its first frame, or a frame number. Exactly one is set."""

    seconds: Fraction | None = None
    frame: int | None = None

    @classmethod
    def parse(cls, text: str) -> TimePoint:
        """Read `90`, `90s`, `1:30.5`, `00:01:30.5` or `2700f`.

        Raises SettingsError where the text is none of these.
        """
        text = text.strip()
        if re.fullmatch(r"\d+f", text):
            return cls(frame=int(text[:-1]))
        match = _CLOCK.fullmatch(text)
        if not match:
            raise SettingsError(f"{text!r} is not a time: write seconds (90), a clock time (1:30.5) or a frame (2700f)")
        hours, minutes, seconds = match.groups()
        if minutes and Fraction(seconds) >= 60:
            raise SettingsError(f"{text!r} is not a time: a minute has 60 seconds; write 2:15 for 135")
        return cls(seconds=int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds))

    def is_after(self, frame: int, seconds: Fraction) -> bool:
        """Whether the frame of this number, shown this many seconds after the first, lies before this point."""
        return frame < self.frame if self.frame is not None else seconds < (self.seconds or 0)

    def __str__(self) -> str:
        return f"{self.frame}f" if self.seconds is None else f"{float(self.seconds):g}s"


@dataclass(frozen=True)
class Span:
    """A part of a video: from `start` on, up to `end` and without it. Raises SettingsError where it ends first."""

    start: TimePoint
    end: TimePoint

    def __post_init__(self) -> None:
        begin, end = (self.start.seconds, self.end.seconds), (self.start.frame, self.end.frame)
        for first, last in (begin, end):
            if first is not None and last is not None and first >= last:
                raise SettingsError(f"{self.start}-{self.end} ends before it begins: give an END after START")

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read `START-END`, both as `TimePoint.parse` does: `1:30-1:35.5` or `120f-140f`.

        Raises SettingsError where the text is none.
        """
        start, separator, end = text.partition("-")
        if not separator:
            raise SettingsError(f"{text!r} is not a part of a video: write START-END, such as 1:30-1:35.5 or 120f-140f")
        return cls(TimePoint.parse(start), TimePoint.parse(end))

    def holds(self, frame: int, seconds: Fraction) -> bool:
        """Whether the frame of this number, shown this many seconds after the first, lies in it."""
        return self.end.is_after(frame, seconds) and not self.start.is_after(frame, seconds)

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def parse_size(text: str) -> int:
    """Read a number of bytes such as `8G`, `500M` or `1.5GiB` (powers of 1024).

    Raises SettingsError where the text is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"{text!r} is not a size: write a number of bytes with K, M, G or T, such as 8G")
    number, unit = match.groups()
    return int(float(number) * 1024 ** " KMGT".index(unit.upper() or " "))


def parse_reference(text: str) -> TimePoint | Path:
    """Read the name of an image file, where there is one, or a place in the video as `TimePoint.parse` does.

    Raises SettingsError where it is neither.
    """
    if Path(text).is_file():
        return Path(text)
    try:
        return TimePoint.parse(text)
    except SettingsError:
        raise SettingsError(f"{text!r} is not an image file, a frame (120f) or a time (1:30)") from None


_RAW = re.compile(r"(\d{1,5})x(\d{1,5})@(.+)")


_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(?:/(\d{1,9}))?")


def parse_rate(text: str) -> Fraction:
    """Read frames a second: `24`, `23.976` or `24000/1001`.

    Raises SettingsError where the text is none, or none above 0.
    """
    match = _RATE.fullmatch(text.strip())
    if not match or Fraction(match[1]) == 0 or (match[2] and int(match[2]) == 0):
        raise SettingsError(f"{text!r} is not a frame rate: write 24, 23.976 or 24000/1001")
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
            raise SettingsError(f"{text!r} does not describe raw video: write WIDTHxHEIGHT@FPS, such as 1920x1080@24")
        return cls(int(match[1]), int(match[2]), parse_rate(match[3]))

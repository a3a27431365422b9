"""What `Settings` hands to the stages below the pipeline: one small frozen value for each kind of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from deflicker.core.errors import InputError, SettingsError
from deflicker.core.values import RawVideo, Span, TimePoint

StreamFormat = Literal["mkv", "nut", "y4m", "raw"]
"""What a pipe can carry: Matroska, NUT, uncompressed frames with a header or without."""
MAX_PIXELS = 1 << 28
"""16384 x 16384. A header that claims more is a mistake or an attack: one frame of it takes gigabytes."""


@dataclass(frozen=True)
class Limits:
    """How much of a file to accept."""

    pixels: int = MAX_PIXELS
    """Largest picture; decoders refuse larger ones before they ask for memory."""
    strict: bool = False
    """Refuse a file as soon as something in it is damaged."""

    def check(self, path: Path, width: int, height: int) -> None:
        """Raise InputError for a picture too large for anyone, SettingsError for one beyond the user's own bound."""
        if width * height > MAX_PIXELS:
            raise InputError(f"{path} claims {width}x{height} pixels: its header is damaged, or it is far too large")
        if width * height > self.pixels:
            raise SettingsError(f"max_memory is too small for the {width}x{height} pixels that {path} claims: raise it")


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How the input is read. Fields mean what they mean in `Settings`."""

    start: TimePoint | None = None
    end: TimePoint | None = None
    exclude: tuple[Span, ...] = ()
    decoder: str | None = None
    fps: Fraction | None = None
    raw_video: RawVideo | None = None
    deinterlace: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How the output is encoded and where it may be written. Fields mean what they mean in `Settings`."""

    codec: str | None = None
    crf: float | None = None
    encoder_preset: str | None = None
    pix_fmt: str | None = None
    encoder_options: Mapping[str, str] = field(default_factory=dict)
    format: StreamFormat | None = None
    overwrite: bool = False
    trimmed: bool = False
    """Frames before the start or after the end are left out, so the source's packets cannot be the output."""

    @property
    def must_encode(self) -> bool:
        """Whether something was asked for that copied packets cannot give."""
        asked = (self.codec, self.crf, self.pix_fmt, self.encoder_preset)
        return self.trimmed or bool(self.encoder_options) or any(value is not None for value in asked)

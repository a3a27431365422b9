"""Value types of a decoded video: what a frame is before and after correction. Knows no codec."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class PlaneLayout:
    """How the numbers in a frame's planes mean colour."""

    family: Literal["yuv", "rgb", "gray"]
    """`yuv`: Y', Cb, Cr. `rgb`: planes ordered G', B', R' as in FFmpeg's gbrp. `gray`: Y' alone."""
    bit_depth: int
    """8 to 16; samples are stored in uint8 for 8 bits, else in native-endian uint16, aligned to the low bits."""
    full_range: bool
    """True: code values use 0 … 2**depth - 1. False: Y' uses 16 … 235 and chroma 16 … 240, scaled to the depth."""
    matrix: Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc", "ycgco"]
    """Y'CbCr coefficients (the tag's, or guessed from the size where the tag is missing)."""
    chroma_shift: tuple[int, int]
    """log2 of the chroma subsampling, (horizontal, vertical); (1, 1) is 4:2:0."""
    has_alpha: bool
    """An alpha plane comes last; it is passed through untouched."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded picture. Planes are read-only views or copies `[H_i, W_i]`, colour first, alpha last."""

    index: int
    """0 for the first frame of the output."""
    pts: int
    """Presentation time in units of `time_base`, exactly as in the source."""
    time_base: Fraction
    planes: tuple[Plane, ...]
    duration: int = 0
    """How long it is shown, in units of `time_base`; 0 where the source does not say."""
    key_frame: bool = False
    """The source coded this frame as a key frame."""
    excluded: bool = False
    """The frame lies in a part that `--exclude` leaves unchanged."""
    shift: Fraction = Fraction(0)
    """Seconds the writer takes off every time stamp, so that a trimmed output starts at 0; 0 where nothing is cut."""


def frame_bytes(width: int, height: int, layout: PlaneLayout) -> int:
    """Bytes of one frame's planes."""
    shift_x, shift_y = layout.chroma_shift
    samples = {"gray": 1.0, "rgb": 3.0, "yuv": 1 + 2 / (1 << (shift_x + shift_y))}[layout.family]
    return int(width * height * (samples + layout.has_alpha) * (2 if layout.bit_depth > 8 else 1))

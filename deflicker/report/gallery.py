"""The pictures a report shows."""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """An encoded picture."""

    jpeg: bytes
    width: int
    height: int

    @property
    def address(self) -> str:
        """As a `data:` address, so that a page needs no second file."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True)
class Clip:
    """A short silent WebM."""

    webm: bytes
    width: int
    height: int
    frames: int

    @property
    def address(self) -> str:
        """As a `data:` address."""
        return "data:video/webm;base64," + base64.b64encode(self.webm).decode("ascii")


@dataclass(frozen=True)
class Gallery:
    """Pictures of one video, or of one before and after. The latter's are None where there is one video only."""

    slice_before: Image | None
    """The picture's middle column in each frame, side by side: flicker is stripes."""
    slice_after: Image | None
    slice_frames: int
    frame: int
    """Number of the frame shown: the one that changed most."""
    frame_before: Image | None
    frame_after: Image | None
    heat: Image | None
    """Mean change of each place; None where nothing changed."""
    heat_peak: float
    """What its brightest colour stands for, code values of 255."""
    clip: Clip | None = None
    """The first seconds, before on the left and after on the right; None where there is one video only."""

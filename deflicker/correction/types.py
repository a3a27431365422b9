"""What travels between the two passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from torch import Tensor

from deflicker.correction.apply import Correction
from deflicker.metrics.flicker import FlickerSums
from deflicker.motion.tracking import Kept

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Corrected(Generic[T]):
    """A frame and what is to be done to it."""

    item: T
    correction: Correction | None
    """None where the frame stays as it is."""
    opens_shot: bool
    before: FlickerSums | None
    """Flicker of a window's core, given with the first of its frames."""
    after: FlickerSums | None
    held: bool = False
    """It shows the picture of the frame before it once more."""
    forward_px: Tensor | None = None
    """`[2, h, w]` in pixels of the proxy, from the picture before; None where it opens a shot or is held."""
    backward_px: Tensor | None = None
    diverged: bool = False
    """It, or its texture, stays as it is because no sane correction was found."""
    kept: Kept | None = None
    """Why it stays as it is, where it was not for the correction to decide."""
    texture: Choice | None = None
    """Where its texture was steadied, and why there; None where it was left alone."""


@dataclass(frozen=True)
class Choice:
    """Made once for a shot, from the first pictures that boil."""

    space: Literal["pixel", "latent", "both"]
    boil_share: float
    """Part of all change of texture that is boil, 0 … 0.5."""
    boil_levels: float
    """Its root mean square in code values of 255."""
    why: str

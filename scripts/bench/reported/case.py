"""A flickering clip with its truth, and what a criterion needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor


@dataclass(frozen=True, eq=False)
class Case:
    """All clips are `[T, 3, H, W]` R'G'B' in [0, 1]."""

    flickering: Tensor
    truth: Tensor
    stays: Tensor | None = None
    """`[T or 1, 1, H, W]`, bool: places that are right in the input, such as letters over the picture."""
    marked: tuple[int, ...] = ()
    """Frames that a kind names: flashes, first frames of shots, middles of windows, frames that are wrong or right."""
    drawing: tuple[int, ...] = ()
    """Number of the drawing that each frame shows, where drawings are held."""


Make = Callable[[Tensor, Generator, float], Case]
"""(clean clip, random numbers, strength) → case. Strength 1 is what was reported; 0 adds no flicker at all."""

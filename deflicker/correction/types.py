"""The record of a frame that travels through all stages, and what a frame must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.apply import Correction
from deflicker.metrics.flicker import FlickerSums
from deflicker.motion.record import MotionRecord


class Picture(Protocol):
    """A frame of any kind: decoded from a file, or an array, a tensor or an image of the caller."""

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """R'G'B' `[3, h, w]` at a size (height, width), in [0, 1] but for headroom."""


@stored
@dataclass(frozen=True)
class SpaceDecision:
    """How a shot's texture is stabilised, and why; made once, from the first pictures that boil or are redrawn."""

    space: Literal["pixel", "latent", "both", "hold"]
    boil_share: float
    """Part of all change of texture that is boil, 0 … 0.5; where it is held, part of all texture that is redrawn."""
    boil_levels: float
    """Its root mean square in code values of 255; where texture is held, that of what holding changes."""
    why: str


@stored
@dataclass(frozen=True, eq=False, kw_only=True)
class FrameRecord(MotionRecord):
    """A frame, its motion, and what is to be done to it."""

    picture: Picture | None = None
    """The frame itself; None while the record lies in a file."""
    guide_luma: Tensor | None = None
    """`[H, W]`, 8 bits: luma of the guide's picture at the size at which texture is held; None without a guide."""
    correction: Correction | None = None
    """None where the frame stays as it is."""
    flicker_before: FlickerSums | None = None
    """Flicker of a window's core, given with the first of its frames."""
    flicker_after: FlickerSums | None = None
    diverged: bool = False
    """It, or its texture, stays as it is because no sane correction was found."""
    texture: SpaceDecision | None = None
    """Where its texture was stabilised, and why there; None where it was left alone."""

    def decision(self, *, motion: bool = False) -> FrameRecord:
        """What is to be stored of it: no picture, and of its motion only the flow, where that is asked for."""
        bare = replace(self, picture=None, proxy=self.proxy[:0], motion_proxy=None, to_key_px=None, from_key_px=None)
        bare = replace(bare, guide_luma=None)
        return bare if motion else replace(bare, forward_px=None, backward_px=None)

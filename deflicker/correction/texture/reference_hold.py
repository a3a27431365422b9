"""What texture is held to where the user asks for anchors: the shot's first picture, steadied.

Tone has its reference and its own energy (`tone.reference_anchor`); here the latents of the first picture, brought
to the frame, are the anchor of the frame's energy (`latent_chain`). The way there is walked link by link, so that it
costs no more flow, and refined after each step on the two pictures themselves, so that its error does not add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.texture.links import SLACK_PX, Link, View
from deflicker.motion.lucas_kanade import refine
from deflicker.motion.warp import compose, round_trip, warp


@dataclass(frozen=True, eq=False)
class Anchor:
    """The first picture as a later one should look like where it shows the same."""

    colours: Tensor
    """`[1, 3, H, W]` R'G'B' in [0, 1], brought to the picture."""
    visible: Tensor
    """`[1, 1, H, W]` in {0, 1}."""
    error_px: Tensor
    """`[1, 1, H, W]`: how wrong the match may be."""
    share: float
    """0 … 1: how much of its weight it has."""


@stored
@dataclass(frozen=True, eq=False)
class Held:
    """The first picture and the way to it from the latest one that was seen."""

    colours: Tensor
    """`[1, 3, H, W]` R'G'B' in [0, 1], its boil taken away."""
    even: Tensor
    """`[1, 1, H, W]`: `even_luma` of it."""
    number: int = 0
    """Of the latest picture, counted from the first."""
    there_px: Tensor | None = None
    """`[1, 2, H, W]`: from the latest picture to the first one; None at the start."""
    back_px: Tensor | None = None

    def seen_from(self, number: int, link: Link, here: View) -> Held | None:
        """The same with the way from a picture, to which `link` leads from the one before it.

        None where that is not the latest: one between was not looked at, and the way ends there.
        """
        if number != self.number + 1:
            return None
        there_px, back_px = link.back_px, link.there_px
        if self.there_px is not None and self.back_px is not None:
            all_seen = torch.ones_like(here.luma)
            there_px, _ = compose(there_px, all_seen, self.there_px, all_seen)
            back_px, _ = compose(self.back_px, all_seen, back_px, all_seen)
            there_px = refine(here.even, self.even, there_px)
            back_px = refine(self.even, here.even, back_px)
        return replace(self, number=number, there_px=there_px, back_px=back_px)

    def anchor(self, share: float) -> Anchor | None:
        """What the latest picture is held to."""
        if self.there_px is None or self.back_px is None:
            return None
        visible, gap_px = round_trip(self.there_px, self.back_px, tolerance_px=SLACK_PX)
        colours = warp(self.colours, self.there_px, "bicubic").clamp(0, 1)
        return Anchor(colours, visible, 0.02 + gap_px.clamp(max=2) / 2 + 1 - visible, share)

"""Where a shot's boiling texture is steadied, in pixels or in latents, and why."""

from __future__ import annotations

from dataclasses import dataclass

from deflicker.core.settings import Space
from deflicker.correction.texture.latent import LatentTexture
from deflicker.correction.types import SpaceDecision

_WEAK_LEVELS = 1.5
"""Boil, in code values, up to which what latents gain over pixels is too little to be worth their time."""


@dataclass(frozen=True, eq=False)
class Renewal:
    """What finds detail in latents, and where it is to."""

    texture: LatentTexture
    asked: Space = "auto"
    hold: float = 0.0
    """How strongly texture is held to that of a shot's first picture, 0 … 1."""

    def choose(self, boil_share: float, boil_rms: float) -> SpaceDecision:
        """Where to steady a shot whose boil is this part of all change and has this root mean square, in [0, 1].

        Left to it, both, whose errors differ, so that their mean is nearer to the truth than what pixels alone give
        (docs/results/latent.md), but pixels alone where the boil is weak.
        """
        levels = 255 * boil_rms
        if self.asked != "auto":
            return SpaceDecision(self.asked, boil_share, levels, "as asked")
        if levels < _WEAK_LEVELS:
            return SpaceDecision(
                "pixel", boil_share, levels, f"below {_WEAK_LEVELS} code values latents gain almost nothing"
            )
        return SpaceDecision("both", boil_share, levels, "their mean is nearer to the truth than pixels alone")

"""Sharpness as a bound on what averaging does: no region of a picture loses detail that is not boil.

In every region of 48 px and every band b, luma of the input has the energy E. Energy that is redrawn in every frame is
what the frame has and its neighbours on both sides have not: P = E[D₋ D₊] of the aligned differences. It does not
depend on how much aligning blurs: of neighbours that show a share 1 − ε of the detail alike,

    P = 1 − 2 (1 − ε) + (1 − ε)² = ε²,

which is next to nothing. E − P is the steady part. In the coarse bands P is boil and may go. In the two finest it is
also how texture is drawn: foliage and hair of a generator are redrawn there, and averaged they vanish. What is drawn
so has P near half of E. Boil on steady texture has less, noise over flat ground nearly all:

    E' = E − s P,   s = max(κ_b, 1 − ramp(P / E; weak), ramp(P / E; noise)).

Where the result z has less energy than that, it is blended with the frame's own y until the bound holds:

    z' = (1 − β) z + β y,   0 ≤ β ≤ 1.

Raising what is left of a band instead is worse: it lacks what aligning blurs, which y has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.texture.comparison import regions
from deflicker.correction.texture.differences import LEVELS
from deflicker.motion.filters import ramp, upsample_blocks


@dataclass(frozen=True)
class SharpnessOptions:
    """Constants of the bound. Tuples have one value a band, the finest first."""

    least: float = 0.97
    """Energy of a band, over E', that is kept at least."""
    boil: tuple[float, ...] = (0.0, 0.4, 1.0, 1.0)
    """κ_b: the share of P that counts as boil whatever it is beside E."""
    weak: tuple[float, float] = (0.2, 0.35)
    """P / E up to which all of it counts as boil, and from which no more than κ_b."""
    noise: tuple[float, float] = (0.8, 0.95)
    """P / E from which a region begins to be, and is, nothing but noise."""
    most_boil: float = 0.9
    """Most of a band's energy that counts as boil: the rest is kept whatever it does."""


UNIT = 1 << LEVELS
"""Pixels from region to region."""


def bound_sharpness(
    own: Sequence[Tensor],
    changes: Sequence[Tensor],
    redrawn: Sequence[Tensor],
    options: SharpnessOptions = SharpnessOptions(),
) -> list[Tensor]:
    """Bands of the change of a frame's luma, held to the bound.

    own, changes: bands `[1, 1, h, w]` of the frame and of what is added to it, finest first, the rest last, of a
    picture whose sides are multiples of 16; redrawn: P of each band, one value a region, `[1, 1, H / 16, W / 16]`.
    """
    held = []
    for level, (band, added, energy_redrawn) in enumerate(zip(own, changes, redrawn, strict=False)):
        products = torch.cat([band.square(), band * added, added.square()], 1)
        energies = regions(products, level)
        blend = _blend(energies, energy_redrawn, options.boil[level], options)
        held.append((1 - upsample_blocks(blend, UNIT >> level, band.shape[-2:])) * added)
    return [*held, changes[-1]]


def _blend(energies: Tensor, redrawn: Tensor, boil_share: float, options: SharpnessOptions) -> Tensor:
    """β of each region from ⟨y, y⟩, ⟨y, d⟩, ⟨d, d⟩ of the frame y and its change d, P, and κ_b."""
    energy, cross, changed = energies.chunk(3, 1)
    ratio = redrawn / energy.clamp_min(1e-9)
    counted = torch.maximum(1 - ramp(ratio, options.weak), ramp(ratio, options.noise)).clamp_min(boil_share)
    boil = counted * torch.minimum(redrawn.clamp_min(0), options.most_boil * energy)
    # ‖(1 − β) z + β y‖² = wanted, in β: a β² + 2 b β + c = 0.
    wanted = options.least * (energy - boil)
    found = (energy + 2 * cross + changed).clamp_min(0)
    a, b, c = found - 2 * (energy + cross) + energy, energy + cross - found, found - wanted
    root = (b.square() - a * c).clamp_min(0).sqrt()
    return torch.where(c < -1e-9, (-c / (b + root).clamp_min(1e-12)).clamp(0, 1), torch.zeros_like(c))

"""Sharpness as a bound on what averaging does: no region of a picture loses detail that was no boil.

In every region of 64 px and every band, luma of the input has the energy E_y. Its boil, which is new in every frame, is
what the frame has and its neighbours on both sides have not: P = E[D₋ D₊] of the aligned differences. E_y − P is the
steady part. It does not depend on how much aligning blurs: of neighbours that show a share 1 − ε of the detail alike,

    P = 1 − 2 (1 − ε) + (1 − ε)² = ε²,

which is next to nothing. Where the result z has less energy than that, its band is raised, and where that does not
suffice it is blended with the frame's own until the bound holds:

    z' = (1 − β) g z + β y,   1 ≤ g ≤ g_max,  0 ≤ β ≤ 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.texture.compared import regions
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import spread


@dataclass(frozen=True)
class SharpnessOptions:
    """Constants of the bound."""

    least: float = 0.97
    """Energy of a band, over that of the steady part, that is kept at least."""
    loudest: float = 1.12
    """g_max: most that a band is raised, in amplitude."""
    most_boil: float = 0.7
    """Most of a band's energy that may pass for boil: the rest is kept whatever it does."""
    strongest: float = (6 / 255) ** 2
    """Most of it in all: what a generator draws anew more strongly than that is the picture, not its boil."""
    unseen: float = (0.6 / 255) ** 2
    """Energy of a band that nobody sees, added on both sides."""


def kept_sharp(
    own: Sequence[Tensor],
    changes: Sequence[Tensor],
    drawn: Sequence[Tensor],
    options: SharpnessOptions = SharpnessOptions(),
) -> list[Tensor]:
    """Bands of the change of a frame's luma, held to the bound.

    own, changes: bands `[1, 1, h, w]` of the frame and of what is added to it, finest first, the rest last, of a
    picture whose sides are multiples of 16; drawn: P of each band, one value a region, `[1, 1, H / 16, W / 16]`.
    """
    held = []
    for level, (band, added, boil) in enumerate(zip(own, changes, drawn, strict=False)):
        products = torch.cat([band.square(), band * added, added.square()], 1)
        energy, cross, changed = regions(products, level).chunk(3, 1)
        steady = energy - torch.minimum(boil.clamp(0, options.strongest), options.most_boil * energy)
        raised, blend = _bound(energy, cross, changed, steady, options)
        raised, blend = (spread(each, UNIT >> level, band.shape[-2:]) for each in (raised, blend))
        held.append((1 - blend) * (added + (raised - 1) * (band + added)))
    return [*held, changes[-1]]


UNIT = 1 << LEVELS
"""Pixels from region to region."""


def _bound(
    energy: Tensor, cross: Tensor, changed: Tensor, steady: Tensor, options: SharpnessOptions
) -> tuple[Tensor, Tensor]:
    """g and β of each region from ⟨y, y⟩, ⟨y, d⟩, ⟨d, d⟩ of the frame y and its change d, and the steady energy."""
    found = (energy + 2 * cross + changed).clamp_min(0)
    wanted = options.least * steady
    raised = ((wanted + options.unseen) / (found + options.unseen)).sqrt().clamp(1, options.loudest)
    # ‖(1 − β) g z + β y‖² = wanted, in β.
    louder, along = raised.square() * found, raised * (energy + cross)
    a, b, c = louder - 2 * along + energy, along - louder, louder - wanted
    lacks = c < -1e-9
    root = (b.square() - a * c).clamp_min(0).sqrt()
    blend = torch.where(lacks, (-c / (b + root).clamp_min(1e-12)).clamp(0, 1), torch.zeros_like(c))
    return raised, blend

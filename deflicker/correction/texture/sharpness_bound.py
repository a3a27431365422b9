"""Sharpness as a bound on what averaging does: no region of a picture loses detail that is not boil.

In every region of 48 px and every band b, luma of the input has the energy E. Energy that is redrawn in every frame is
what the frame has and its neighbours on both sides have not: P = E[D₋ D₊] of the aligned differences. It does not
depend on how much aligning blurs: of neighbours that show a share 1 − ε of the detail alike,

    P = 1 − 2 (1 − ε) + (1 − ε)² = ε²,

which is next to nothing. E − P is the steady part. In the coarse bands P is boil and may go. In the two finest it is
also how texture is drawn: foliage and hair of a generator are redrawn there, and averaged they vanish. So there only a
share κ_b of P counts as boil, unless P is nearly all there is, as noise over flat ground:

    E' = E − max(κ_b, n) P,  n = ramp(P / E).

Where the result z has less energy than E', its band is raised: its detail is steady, only weak. Where that does not
suffice it is blended with the frame's own, with a larger share of P counted as boil, until the bound holds:

    z' = (1 − β) g z + β y,   1 ≤ g ≤ g_max,  0 ≤ β ≤ 1.
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
    loudest: float = 1.4
    """g_max: most that a band is raised, in amplitude."""
    raised_boil: tuple[float, ...] = (0.0, 0.3, 0.8, 1.0)
    """κ_b of what is raised."""
    blended_boil: tuple[float, ...] = (0.1, 0.5, 1.0, 1.0)
    """κ_b of what is blended."""
    noise: tuple[float, float] = (0.75, 0.95)
    """P / E from which a region begins to be, and is, nothing but noise."""
    most_boil: float = 0.9
    """Most of a band's energy that counts as boil: the rest is kept whatever it does."""
    unseen: float = (0.6 / 255) ** 2
    """Energy of a band that nobody sees, added on both sides."""


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
        raised, blend = _bound(energies, energy_redrawn, level, options)
        raised, blend = (upsample_blocks(each, UNIT >> level, band.shape[-2:]) for each in (raised, blend))
        held.append((1 - blend) * (added + (raised - 1) * (band + added)))
    return [*held, changes[-1]]


def _bound(energies: Tensor, redrawn: Tensor, level: int, options: SharpnessOptions) -> tuple[Tensor, Tensor]:
    """g and β of each region from ⟨y, y⟩, ⟨y, d⟩, ⟨d, d⟩ of the frame y and its change d, and P."""
    energy, cross, changed = energies.chunk(3, 1)
    noise = ramp(redrawn / energy.clamp_min(1e-9), options.noise)
    boil = torch.minimum(redrawn.clamp_min(0), options.most_boil * energy)
    to_raise, to_blend = (
        energy - noise.clamp_min(share) * boil for share in (options.raised_boil[level], options.blended_boil[level])
    )
    found = (energy + 2 * cross + changed).clamp_min(0)
    raised = ((to_raise + options.unseen) / (found + options.unseen)).sqrt().clamp(1, options.loudest)
    # ‖(1 − β) g z + β y‖² = wanted, in β.
    wanted = options.least * to_blend
    louder, along = raised.square() * found, raised * (energy + cross)
    a, b, c = louder - 2 * along + energy, along - louder, louder - wanted
    root = (b.square() - a * c).clamp_min(0).sqrt()
    blend = torch.where(c < -1e-9, (-c / (b + root).clamp_min(1e-12)).clamp(0, 1), torch.zeros_like(c))
    return raised, blend

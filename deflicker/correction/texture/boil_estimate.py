"""Texture that boils: how much of what changes between a frame and its aligned neighbours is drawn anew in each.

From the aligned differences D_k = X_k − y. Boil is new in each frame, so its variance σ² is

    E[D_a D_b] = σ² for any a ≠ b.

Boil with a memory φ (what is drawn anew keeps a part of what was there) leaves, for P = E[D₋₁ D₊₁] across the frame,
S = E[D₁ D₂] on one side of it and E = E[D₁²],

    P = (1 − φ)² σ²,  S = (1 − φ²) σ²,  E = 2 (1 − φ) σ²,  so that  S + P = E.

A wrong match shows the same wrong thing twice: S is near E, and P, half of E, is what the frame has and they have not.
So what S + P exceeds E by is counted off, the more so the less certain the motion is.

Boil is a part of the frame y that its neighbours do not show, so E[−D y] = E / 2, with a memory or without. They lack
fine detail that resampling along the motion softens, too, but there E[−D y], which is of the detail itself, is more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.texture.differences import LEVELS, doubt_of, products, usual_part, visible_of
from deflicker.correction.texture.laplacian import cell_means, shrink, split_bands
from deflicker.motion.filters import block_mean, ramp, sum_of, upsample_blocks

_SUSPICION = 2.0
"""How often S + P − E is counted off where motion is uncertain."""
FLOORS = (9e-6, 4e-6, 2.5e-6, 1e-6)
"""Variance per band that is left alone: about a code value of 255 in all, which grain and rounding reach as well."""
_STRONGEST = (12 / 255) ** 2
"""Variance from which a change is no boil but another shape."""
_ODD = 3.0
"""Most a place may boil beyond the geometric mean around it: thin fast things stand out, boil does not."""
_OF_DETAIL = (0.45, 0.65)
"""Part of E / 2 that E[−D y] exceeds it by, from which a frame's change begins to be no boil, and is none. Of boil of
six makes, the usual frame has 0 to 0.33; sunlit trees and a car, resampled from frame to frame, 0.67 and more."""
_CELL_PX = 4
"""Side of the cells, in pixels of each band, on which its boil is estimated."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Aligned neighbours of one frame."""

    offsets: tuple[int, ...]
    """Distances in time, such as (-2, -1, 1, 2)."""
    luma: Tensor
    """`[N, 1, H, W]`: W(y_{t+k}), values in [0, 1]."""
    visible: Tensor
    """`[N, 1, H, W]` in [0, 1]."""
    flow_error_px: Tensor
    """`[1, 1, H, W]`: how wrong the motion may be here."""
    flow_px: Tensor | None = None
    """`[N, 2, H, W]`: where in its own frame each of them was taken from."""


@stored
@dataclass(frozen=True, eq=False)
class Boil:
    """What one frame's texture does."""

    variance: tuple[Tensor, ...]
    """σ² of each band on cells of 4 px, `[1, 1, ⌈H_b / 4⌉, ⌈W_b / 4⌉]`."""
    explained: Tensor
    """Σ σ² over bands, a mean over the places where motion is certain: energy of the boil. A scalar."""
    change: Tensor
    """Σ D² over bands, of the nearest neighbours and alike a mean: energy of everything that changes. A scalar."""


def boiling(luma: Tensor, neighbours: Neighbours) -> Boil | None:
    """Boil of a frame `[1, 1, H, W]`; None where it has no neighbour on one side."""
    at = {offset: row for row, offset in enumerate(neighbours.offsets)}
    across = [(at[-a], at[b]) for a in (1, 2) for b in (1, 2) if -a in at and b in at]
    beside = [(at[a], at[2 * a]) for a in (1, -1) if a in at and 2 * a in at]
    if not across or not beside:
        return None
    differences = (neighbours.luma - luma) * neighbours.visible
    bands, visible = split_bands(differences, LEVELS), visible_of(neighbours.visible)
    doubt = doubt_of(cell_means(neighbours.flow_error_px, _CELL_PX))
    variance, explained, change, half, off = [], [], [], [], []
    own = split_bands(luma, LEVELS)
    for level, (band, seen) in enumerate(zip(bands[:-1], visible, strict=False)):
        found = boil_variance(band, seen, across, beside, _SUSPICION * doubt, FLOORS[level])
        variance.append(found)
        explained.append((found * (1 - doubt)).mean())
        change.append((block_mean(torch.stack([band[at[1]], band[at[-1]]]).square(), _CELL_PX) * (1 - doubt)).mean())
        before, after = usual_part(band)[[at[-1], at[1]], None]
        shown = block_mean(torch.cat([before**2 + after**2, -2 * (before + after) * own[level]]) / 4, _CELL_PX)
        boiled, of_detail = ((found > 0) * (1 - doubt) * shown).mean((1, 2, 3))
        half.append(boiled)
        off.append((of_detail - boiled).clamp_min(0))
        doubt = shrink(doubt)
    part_off = torch.stack(off).sum() / torch.stack(half).sum().clamp_min(1e-12)
    boils = 1 - ramp(part_off, _OF_DETAIL)
    return Boil(tuple(variance), torch.stack(explained).sum() * boils, torch.stack(change).sum())


def boil_variance(
    band: Tensor,
    visible: Tensor,
    across: Sequence[tuple[int, int]],
    beside: Sequence[tuple[int, int]],
    suspicion: Tensor,
    floor: float,
) -> Tensor:
    """σ² `[1, 1, h, w]` of one band on cells of 4 px, h = ⌈H / 4⌉, from its aligned differences `[N, 1, H, W]`; 0 where
    there is no boil.

    across, beside: pairs of rows on both sides of the frame, the nearest first, and on the same side. suspicion:
    `[1, 1, h, w]`, how often what S + P exceeds E by is counted off.
    """
    band = usual_part(band)
    squared = band.square()
    every = sum_of([squared[i] + squared[j] for i, j in across]) / 2
    near = [(row, row) for row in across[0]]
    sums_of, masses = zip(
        *(products(band, visible, pairs) for pairs in (across, beside, across[:1], near)), strict=True
    )
    sums = cell_means(torch.stack([*sums_of, *masses, every]), _CELL_PX)
    opposite, same, nearest, energy = (sums[:4] / sums[4:8].clamp_min(1e-3)).chunk(4)
    excess = (same + nearest - energy).clamp_min(0)
    closed, open_ = 0.15, 0.35
    opening = ((sums[:1] / sums[8:].clamp_min(1e-9) - closed) / (open_ - closed)).clamp(0, 1)
    variance = (opposite - suspicion * excess - floor).clamp_min(0) * opening
    variance = variance * (2 - variance / _STRONGEST).clamp(0, 1)
    usual = torch.exp(upsample_blocks(cell_means((variance + 1e-6).log(), 2), 2, variance.shape[-2:])) - 0.9e-6
    return torch.minimum(variance, _ODD * usual.clamp_min(0))

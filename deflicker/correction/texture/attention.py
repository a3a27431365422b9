"""Texture that boils: temporal attention along motion, band by band.

Every band b of a frame, y, is replaced by an attention average over the frame itself and its aligned neighbours X_k:

    z = Σ_k softmax_k(s_k) X_k,   k = 0 the frame itself with s_0 = 0,
    s_k = log m_k + log(σ² / (σ² + τ_k²)) − τ_k² / (h σ²) + λ (p_0·p_k − 1) + log a_k.

Query and key are the band patches around a pixel and its match; τ_k² is how far they differ beyond what flicker
explains, and a_k ends at 0 where they differ by more than boil ever does. m_k is visibility, p_k the sinusoidal
position of k in time (Vaswani et al., NeurIPS 2017). The first two terms alone make z the minimum of
Σ_k |z − X_k|² / (σ² + τ_k²), a Wiener estimate: fidelity to the frame and flow-warp consistency with every neighbour,
each weighed by what it can be trusted with. σ² = 0 returns the frame.

σ², how much of a band's change is boil, comes from the aligned differences D_k = X_k − y. Boil is new in each frame, so

    E[D_a D_b] = σ² for any a ≠ b.

Boil with a memory φ (what is drawn anew keeps a part of what was there) leaves, for P = E[D₋₁ D₊₁] across the frame,
S = E[D₁ D₂] on one side of it and E = E[D₁²],

    P = (1 − φ)² σ²,  S = (1 − φ²) σ²,  E = 2 (1 − φ) σ²,  so that  S + P = E.

A wrong match shows the same wrong thing twice: S is near E, and P, half of E, is what the frame has and they have not.
So what S + P exceeds E by is counted off, the more so the less certain the motion is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.texture.band_energy import energy, lacking, smooth
from deflicker.correction.texture.differences import LEVELS, doubt_of, products, usual_part, visible_of
from deflicker.correction.texture.laplacian import cell_means, merge_bands, pool, shrink, split_bands, spread
from deflicker.motion.filters import box_max, box_mean


@dataclass(frozen=True)
class TextureOptions:
    """Constants of the attention."""

    position_share: float = 0.3
    """λ: how much nearness in time counts."""
    patience: float = 8.0
    """h: misfit τ², in units of σ², at which a match counts less by a factor e."""
    misfit_share: float = 0.2
    """Part of a patch's excess difference that is taken for misfit τ²."""
    tolerance: float = 1.0
    """Excess over 2 σ² that chance explains in a patch of 6 × 6, in units of 2 σ²."""
    limit: float = 24.0
    """Difference of patches, in units of σ², from which a match counts less; at twice that it is another thing."""
    suspicion: float = 2.0
    """How often S + P − E is counted off where motion is uncertain."""


FLOORS = (9e-6, 4e-6, 2.5e-6, 1e-6)
"""Variance per band that is left alone: about a code value of 255 in all, which grain and rounding reach as well."""
_STRONGEST = (12 / 255) ** 2
"""Variance from which a change is no boil but another shape: averaging it would leave ghosts."""
_ODD = 3.0
"""Most a place may boil beyond the geometric mean around it: thin fast things stand out, boil does not."""
_IMPOSSIBLE = 40.0
"""Least squared difference to any neighbour, in units of σ², of what is no boil."""
_LOUDEST = 1.3
"""Most that a band is raised, in amplitude, after averaging blurred it."""
_CELL_PX = 4
"""Side of the cells, in pixels of each band, on which its boil is estimated."""
_PERIODS = (4.0, 8.0, 16.0, 32.0)
"""Of the sinusoidal positions, in frames."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Aligned neighbours of one frame's luma."""

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

    residual: Tensor
    """`[1, 1, H, W]`: z − y, added to the luma; `[1, 3, H, W]` where it came about in latents, R'G'B'."""
    variance: tuple[Tensor, ...]
    """σ² of each band on cells of 4 px, `[1, 1, ⌈H_b / 4⌉, ⌈W_b / 4⌉]`."""
    explained: Tensor
    """Σ σ² over bands, a mean over the places where motion is certain: energy of the boil. A scalar."""
    change: Tensor
    """Σ D² over bands, of the nearest neighbours and alike a mean: energy of everything that changes. A scalar."""


def boiling(luma: Tensor, neighbours: Neighbours, options: TextureOptions = TextureOptions()) -> Boil | None:
    """Boil of a frame `[1, 1, H, W]` and what removes it; None where it has no neighbour on one side."""
    at = {offset: row for row, offset in enumerate(neighbours.offsets)}
    across = [(at[-a], at[b]) for a in (1, 2) for b in (1, 2) if -a in at and b in at]
    beside = [(at[a], at[2 * a]) for a in (1, -1) if a in at and 2 * a in at]
    if not across or not beside:
        return None
    differences = (neighbours.luma - luma) * neighbours.visible
    bands, visible = split_bands(differences, LEVELS), visible_of(neighbours.visible)
    doubt = doubt_of(cell_means(neighbours.flow_error_px, _CELL_PX))
    variance, explained, change = [], [], []
    for level, (band, seen) in enumerate(zip(bands[:-1], visible, strict=False)):
        found = boil_variance(band, seen, across, beside, options.suspicion * doubt, FLOORS[level])
        variance.append(found)
        explained.append((found * (1 - doubt)).mean())
        change.append((pool(band[[at[1], at[-1]]].square(), _CELL_PX) * (1 - doubt)).mean())
        doubt = shrink(doubt)
    residual = _attended(differences, bands, visible, variance, neighbours.offsets, options)
    residual = residual + blurred(luma, residual, variance)
    return Boil(residual, tuple(variance), torch.stack(explained).sum(), torch.stack(change).sum())


def boiling_alike(luma: Tensor, neighbours: Neighbours, like: Boil, options: TextureOptions = TextureOptions()) -> Boil:
    """As `boiling`, for a frame that boils as the one beside it does: at the edge of a shot it cannot tell itself."""
    differences = (neighbours.luma - luma) * neighbours.visible
    bands, visible = split_bands(differences, LEVELS), visible_of(neighbours.visible)
    residual = _attended(differences, bands, visible, like.variance, neighbours.offsets, options)
    residual = residual + blurred(luma, residual, like.variance)
    return replace(like, residual=residual)


def _attended(
    differences: Tensor,
    bands: Sequence[Tensor],
    visible: Sequence[Tensor],
    variance: Sequence[Tensor],
    offsets: Sequence[int],
    options: TextureOptions,
) -> Tensor:
    """What attention adds to the frame, all bands together: `[1, 1, H, W]`.

    Scores are smooth, so they are made at half the size of each band, for a quarter of the work.
    """
    position = options.position_share * _position_scores(offsets, differences)
    residuals, another = [], _unique(differences, visible[0], variance)
    for level, (band, cells) in enumerate(zip(bands[:-1], variance, strict=True)):
        near = shrink(band.square())
        distance = box_mean(near, 1)
        sigma2 = spread(cells, _CELL_PX // 2, near.shape[-2:])
        misfit = options.misfit_share * (distance - 2 * (1 + options.tolerance) * sigma2).clamp_min(0)
        attention = torch.exp(position - misfit / (options.patience * sigma2 + 1e-9))
        attention = attention * sigma2 / (sigma2 + misfit + 1e-9) * (visible[level + 1] > 0.7)
        # What is another thing here is one in coarser bands too.
        another = 1 - (1 - F.max_pool2d(another, 2, ceil_mode=True)) * (
            2 - near / (options.limit * sigma2 + 1e-9)
        ).clamp(0, 1)
        residuals.append(attend(band, attention * (1 - another)))
    return merge_bands([*residuals, torch.zeros_like(bands[-1][:1])])


def _unique(differences: Tensor, visible: Tensor, variance: Sequence[Tensor]) -> Tensor:
    """1 where a frame differs from every neighbour it is seen in by more than boil does, else 0: `[1, 1, H, W]`.

    A thin thing that passes is nowhere else at this place; boil this far out is all but impossible.
    """
    usual = torch.zeros_like(variance[0])
    for sigma2 in variance:
        usual = usual + F.interpolate(sigma2, size=usual.shape[-2:], mode="bilinear", align_corners=False)
    bound = _IMPOSSIBLE * spread(usual, _CELL_PX, visible.shape[-2:])
    nearest = torch.where(visible > 0.7, differences.abs(), torch.inf).amin(0, keepdim=True)
    unique = torch.isfinite(nearest) & (nearest.square() > bound)
    return box_max(unique.float(), 2)


def blurred(picture: Tensor, residual: Tensor, variance: Sequence[Tensor]) -> Tensor:
    """What averaging took of a picture's texture beyond its boil, `[1, C, H, W]`: to be given back.

    A band of energy E whose boil is σ² should keep E − σ² at least. Of boil more than σ² can be shown is there, so half
    as much again may go. picture: in [0, 1]; residual: what was added to it, likewise `[1, C, H, W]`.
    """
    wanted, shares = [], []
    own, added = (split_bands(each, LEVELS)[:-1] for each in (picture, residual))
    for band, change, cells in zip(own, added, variance, strict=True):
        boil = spread(cells, _CELL_PX, band.shape[-2:])
        wanted.append((energy(band) - 1.5 * smooth(boil)).clamp_min(0))
        touched = spread(pool(change.square().mean(1, keepdim=True), _CELL_PX), _CELL_PX, band.shape[-2:])
        shares.append((8 * touched / (boil + 1e-9)).clamp(max=1))
    return lacking(picture + residual, wanted, shares, _LOUDEST)


def attend(differences: Tensor, attention: Tensor) -> Tensor:
    """Σ_k softmax(s)_k D_k over neighbours `[N, 1, H, W]` and the frame itself (s = 0, D = 0): `[1, 1, H, W]`.

    attention: exp(s) of the neighbours, at most 1, which the scores are products of anyway: `[N, 1, ⌈H / 2⌉, ⌈W / 2⌉]`.
    """
    weights = attention / (1 + attention.sum(0, keepdim=True))
    return (spread(weights, 2, differences.shape[-2:]) * differences).sum(0, keepdim=True)


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
    every = torch.stack([band[i].square() + band[j].square() for i, j in across]).sum(0) / 2
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
    usual = torch.exp(spread(cell_means((variance + 1e-6).log(), 2), 2, variance.shape[-2:])) - 0.9e-6
    return torch.minimum(variance, _ODD * usual.clamp_min(0))


def _position_scores(offsets: Sequence[int], like: Tensor) -> Tensor:
    """p_0·p_k − 1 for sinusoidal positions, `[N, 1, 1, 1]`, at most 0."""
    distance = like.new_tensor(offsets).view(-1, 1, 1, 1)
    return torch.stack([torch.cos(2 * torch.pi * distance / period) for period in _PERIODS]).mean(0) - 1

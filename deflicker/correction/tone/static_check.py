"""Whether a correction steadies the place it is made in: what it brings where nothing can be followed.

Gains and curves are found along motion, and reach by smoothness what no match leads to: a thing that has just come in,
a surface without texture, the far side of a hard edge. There the picture itself is asked, without any motion. With m
the log tone of a place and c its correction, both smoothed over the cells around, the share of c that steadies it best
is

    α = argmin Σ_t |Δ(m + α c)|² = −Σ_t Δm Δc / Σ_t Δc²,

over differences Δ of one and of two frames. What moves through the place changes m as well, but not in step with c, and
averages out over a window; what was cut off at white or black makes α a little too small. So α ≥ ½ counts as 1, and
only below it the correction is taken back, all of it at α ≤ 0.1.

The same question tells whether a tone curve is the whole picture's. If it is, every place asks for the same share of
it; flicker of a part makes that part ask for more, and the rest for nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.motion.filters import box_mean, cell_means, ramp

_FLOOR = 0.01
"""Added to the light before its logarithm."""
_TONE_CELLS = 1
"""Radius over which tone is smoothed."""
_SUMS_CELLS = 2
"""Radius over which the sums are."""
_AROUND = ((0, 0), (0, 1), (_TONE_CELLS, _SUMS_CELLS))
"""Both radii, the sharpest first; the last ones count in any case."""
_CERTAIN = 0.1
"""Standard error of α up to which sharper ones count."""
_ENOUGH = (0.1, 0.5)
"""α up to which a correction is taken back, and from which it stands as it is."""
_ALIKE = 0.5
"""What a place's α may differ by from the whole picture's, as a part of that."""
_SURE = 2.0
"""Standard errors of a place's α that it differs by, to count."""
_ODD = 0.4
"""Part of the places that may ask for something else: pumps of the whole picture leave 0.03 at most, also where regions
pump beside them, a tiger whose regions pump more than the whole 0.34, blotches on half a picture 0.53 or more."""
_LAGS = (1, 2)
_NOTHING = 1e-8
"""Energy of the correction's changes below which there is nothing to ask."""


def rollback_gain(frames: Tensor, corrected: Tensor) -> Tensor:
    """What is to be added to the log gain of cells, `[T, 3, H / 8, W / 8]`: what takes the share of c back
    that steadies nothing.

    frames, corrected: `[T, 3, H, W]` R'G'B' in [0, 1] of one window, before and after. α is that of the fewest cells
    around a place that make it certain enough, so that a hard edge between what flickers and what does not is found.
    """
    tone, change = _tone_and_change(frames, corrected)
    kept = torch.ones_like(tone[:1, :1])
    for tone_cells, sums_cells in reversed(_AROUND):  # the sharpest that is certain has the last word
        share, error = _share(tone, change, tone_cells, sums_cells)
        certain = (error < _CERTAIN) | torch.tensor((tone_cells, sums_cells) == _AROUND[-1], device=error.device)
        kept = torch.where(certain, ramp(share, _ENOUGH), kept)
    return (kept - 1) * change


def _share(tone: Tensor, change: Tensor, tone_cells: int, sums_cells: int) -> tuple[Tensor, Tensor]:
    """α of each place, 1 where there is nothing to ask, and its standard error, `[1, 1, h, w]` each."""
    changes = _changes(tone, change, tone_cells)
    product, energy = _asked(changes)
    # A place that needs more than it is given speaks for that, and not for what places around it are given.
    product, energy = box_mean(torch.minimum(product, energy), sums_cells), box_mean(energy, sums_cells)
    share = torch.where(energy > _NOTHING, product / energy.clamp_min(_NOTHING), 1.0)
    return share, _error(changes, share, energy, sums_cells)


def _error(changes: list[tuple[Tensor, Tensor]], share: Tensor, energy: Tensor, sums_cells: int) -> Tensor:
    """Standard error of a share, from how what it misses differs from frame to frame: `[1, 1, h, w]`."""
    variance = torch.zeros_like(energy)
    for seen, done in changes:
        missed = ((seen + share * done) * done).sum(1, keepdim=True)
        variance += box_mean(missed, sums_cells).square().sum(0, keepdim=True)
    return variance.sqrt() / energy.clamp_min(_NOTHING)


def is_global(frames: Tensor, corrected: Tensor) -> bool:
    """Whether all places ask for the same share of a correction, as those of a picture that pumps as a whole do.

    A place whose share is uncertain, because something moves through it, does not count against that. Arguments as in
    `rollback_gain`; corrected is another picture than frames.
    """
    tone, change = _tone_and_change(frames, corrected)
    changes = _changes(tone, change, _TONE_CELLS)
    product, energy = _asked(changes)
    usual = product.sum() / energy.sum().clamp_min(1e-9)
    around = box_mean(energy, _SUMS_CELLS).clamp_min(1e-9)
    off = (box_mean(product, _SUMS_CELLS) / around - usual).abs()
    error = _error(changes, usual, around, _SUMS_CELLS)
    odd = (off > _ALIKE * usual) & (off > _SURE * error)
    return bool(odd.float().mean() <= _ODD)


def _tone_and_change(frames: Tensor, corrected: Tensor) -> tuple[Tensor, Tensor]:
    """m and c of cells, `[T, 3, h, w]`, not smoothed."""
    tone = (cell_means(frames) + _FLOOR).log()
    return tone, (cell_means(corrected) + _FLOOR).log() - tone


def _asked(changes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """−Σ Δm Δc and Σ Δc² of each place, `[1, 1, h, w]`."""
    like = changes[0][0][:1, :1]
    product, energy = torch.zeros_like(like), torch.zeros_like(like)
    for seen, done in changes:
        product -= (seen * done).sum((0, 1), keepdim=True)
        energy += done.square().sum((0, 1), keepdim=True)
    return product, energy


def _changes(tone: Tensor, change: Tensor, cells: int) -> list[tuple[Tensor, Tensor]]:
    """Δm and Δc of cells with those around them, for each lag."""
    tone, change = box_mean(tone, cells), box_mean(change, cells)
    return [(tone[lag:] - tone[:-lag], change[lag:] - change[:-lag]) for lag in _LAGS]

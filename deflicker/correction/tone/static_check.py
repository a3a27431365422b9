"""Whether a correction steadies the place it is made in: what it brings where nothing can be followed.

Gains and curves are found along motion, and reach by smoothness what no match leads to: a thing that has just come in,
a surface without texture, the far side of a hard edge. There the picture itself is asked, without any motion. With m
the log tone of a place and c its correction, both smoothed over the cells around, the share of c that steadies it best
is

    α = argmin Σ_t |Δ(m + α c)|² = −Σ_t Δm Δc / Σ_t Δc²,

over differences Δ of one and of two frames. What moves through the place changes m as well, but not in step with c, and
averages out over a window; what was cut off at white or black makes α a little too small. So α ≥ ½ counts as 1, and
only below it the correction is taken back, all of it at α = 0.

The same question tells whether a tone curve is the whole picture's. If it is, every place asks for the same share of
it; flicker of a part makes that part ask for more, and the rest for nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.motion.filters import box_mean, cell_means

_FLOOR = 0.01
"""Added to the light before its logarithm."""
_TONE_CELLS = 1
"""Radius over which tone is smoothed."""
_SUMS_CELLS = 2
"""Radius over which the sums are."""
_ENOUGH = 0.5
"""α from which a correction stands as it is."""
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
    """What is to be added to the log gain of cells, `[T, 3, H / 8, W / 8]`: what takes (1 − min(1, 2 α)) c back.

    frames, corrected: `[T, 3, H, W]` R'G'B' in [0, 1] of one window, before and after.
    """
    tone, change = _tone_and_change(frames, corrected)
    product, energy = _asked(tone, change)
    # A place that needs more than it is given speaks for that, and not for what places around it are given.
    product = torch.minimum(product, energy)
    product, energy = box_mean(product, _SUMS_CELLS), box_mean(energy, _SUMS_CELLS)
    kept = (product / (_ENOUGH * energy).clamp_min(1e-9)).clamp(0, 1)
    return torch.where(energy > _NOTHING, kept - 1, 0.0) * change


def is_global(frames: Tensor, corrected: Tensor) -> bool:
    """Whether all places ask for the same share of a correction, as those of a picture that pumps as a whole do.

    A place whose share is uncertain, because something moves through it, does not count against that. Arguments as in
    `rollback_gain`; corrected is another picture than frames.
    """
    tone, change = _tone_and_change(frames, corrected)
    product, energy = _asked(tone, change)
    usual = product.sum() / energy.sum().clamp_min(1e-9)
    around = box_mean(energy, _SUMS_CELLS).clamp_min(1e-9)
    off = (box_mean(product, _SUMS_CELLS) / around - usual).abs()
    error = torch.zeros_like(energy)
    for seen, done in _changes(tone, change):
        missed = ((seen + usual * done) * done).sum(1, keepdim=True)
        error += box_mean(missed, _SUMS_CELLS).square().sum(0, keepdim=True)
    odd = (off > _ALIKE * usual) & (off > _SURE * error.sqrt() / around)
    return bool(odd.float().mean() <= _ODD)


def _tone_and_change(frames: Tensor, corrected: Tensor) -> tuple[Tensor, Tensor]:
    """m and c of cells, `[T, 3, h, w]`, not smoothed."""
    tone = (cell_means(frames) + _FLOOR).log()
    return tone, (cell_means(corrected) + _FLOOR).log() - tone


def _asked(tone: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """−Σ Δm Δc and Σ Δc² of each place, `[1, 1, h, w]`."""
    product, energy = torch.zeros_like(tone[:1, :1]), torch.zeros_like(tone[:1, :1])
    for seen, done in _changes(tone, change):
        product -= (seen * done).sum((0, 1), keepdim=True)
        energy += done.square().sum((0, 1), keepdim=True)
    return product, energy


def _changes(tone: Tensor, change: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Δm and Δc of cells with those around them, for each lag."""
    tone, change = box_mean(tone, _TONE_CELLS), box_mean(change, _TONE_CELLS)
    return [(tone[lag:] - tone[:-lag], change[lag:] - change[:-lag]) for lag in _LAGS]

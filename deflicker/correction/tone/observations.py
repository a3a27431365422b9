"""Observations of tone: log ratios of matched cell means.

A cell mean is taken over the visible pixels of a cell, in both frames over the same pixels, so boiling texture
averages out and the logarithm has no bias (see docs/algorithm.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.correspondence import Match
from deflicker.motion.filters import CELL_PX, box_mean, cell_means
from deflicker.motion.warp import sample, target_grid

_DARK = 0.06
"""Mean value at which a cell's log ratio weighs a quarter: below, noise and rounding dominate."""
CLIPPED = 0.985
"""R'G'B' from which a sample may have been cut off, so that a step to or from it is a bound at most."""
_CODE_VALUE = 0.004
_MIN_FRACTION = 0.05
"""Of a cell: with fewer clipped samples, they say nothing."""
_ROUNDS = 2
"""Reweighting rounds against wrong matches."""
_EPS = 0.01
"""Added to both means: a floor on the light, so that black stays black (log-light prior)."""


@dataclass(frozen=True, eq=False)
class Step:
    """Tone of the matched cells relative to the cells themselves, for frames `start … start + n - 1`."""

    offset: int
    start: int
    flow_cells: Tensor
    """`[n, 2, h, w]`: where each cell's match lies, in cells."""
    log_ratio: Tensor
    """`[n, 3, h, w]`: d = log(mean of match / mean of cell), natural log, per R'G'B' channel."""
    weight: Tensor
    """`[n, 3, h, w]` in [0, 1]: fraction of visible pixels times confidence in the level."""


def observe(frames: Tensor, match: Match, *, aligned: Tensor | None = None, bounds: bool = True) -> Step:
    """Tone step along a match.

    frames: `[T, 3, H, W]` in [0, 1]. aligned: the same frames with the present estimate of flicker taken out; where
    these disagree although the match claims to be visible, the match is wrong and its weight falls. Samples cut off at
    white, which otherwise say nothing, then count where the estimate contradicts them, unless bounds is False.
    """
    n = len(match.flow_px)
    grid = target_grid(match.flow_px)
    here = frames[match.start : match.start + n]
    there = _matched(frames, match, grid)
    cut_here, cut_there = (_is_cut(each).to(frames.dtype) for each in (here, there))
    weight = match.visible * (1 - cut_here) * (1 - cut_there)
    if aligned is not None:
        lights = aligned[match.start : match.start + n], _matched(aligned, match, grid)
        weight = weight * agreement(*lights)
        if bounds:
            weight = weight + too_bright(*lights, match.visible * (cut_here - cut_there))
    visible = cell_means(weight)
    mean_here, mean_there = cell_means(weight * here), cell_means(weight * there)
    floor = _EPS * visible + 1e-6
    level = mean_here / (visible + 1e-6)
    enough = (visible > 0.1).to(frames.dtype)
    flow_cells = cell_means(match.flow_px * (weight + 1e-3)) / (visible + 1e-3) / CELL_PX
    log_ratio = enough * torch.log((mean_there + floor) / (mean_here + floor))
    return Step(match.offset, match.start, flow_cells, log_ratio, enough * visible * (level / (level + _DARK)).square())


def _is_cut(frames: Tensor) -> Tensor:
    """Where a channel of `[n, 3, H, W]` may have been cut off, `[n, 1, H, W]`."""
    red, green, blue = frames[:, :1], frames[:, 1:2], frames[:, 2:]
    return torch.maximum(torch.maximum(red, green), blue) >= CLIPPED


def agreement(here: Tensor, there: Tensor) -> Tensor:
    """Confidence in a match: how well tone-corrected frames `[n, 3, H, W]` agree along it, `[n, 1, H, W]` in [0, 1]."""
    error = box_mean((there - here).abs().mean(1, keepdim=True), 1)
    usual = box_mean(cell_means(error), 2)
    usual = F.interpolate(usual, scale_factor=CELL_PX, mode="bilinear")
    return 1 / (1 + (error / (2 * usual + 0.01)) ** 4)


def too_bright(here: Tensor, there: Tensor, cut: Tensor) -> Tensor:
    """Where a sample that was cut off on one side only is too bright for what the other side shows: `[n, 1, H, W]`.

    What was cut off was brighter than it is: a lower bound, as in censored regression (Tobin, 1958). Corrected light
    `[n, 3, H, W]` that keeps the bound says nothing; cells that break it by a code value are pulled down to it.
    cut: `[n, 1, H, W]`, 1 where only here is cut off, -1 where only there is.
    """
    excess = cell_means(cut * (here - there).mean(1, keepdim=True))
    fraction = cell_means(cut.abs())
    broken = ((excess > _CODE_VALUE * fraction) & (fraction > _MIN_FRACTION)).to(cut.dtype)
    return F.interpolate(broken, scale_factor=CELL_PX, mode="nearest") * cut.abs()


def _matched(frames: Tensor, match: Match, grid: Tensor) -> Tensor:
    """The frames a match leads to, brought to where it starts: `[n, 3, H, W]`."""
    return sample(frames[match.start + match.offset : match.start + match.offset + len(match.flow_px)], grid)


def outlier_weight(field: Tensor, confidence: Tensor) -> Tensor:
    """Cauchy weight from how well each cell agrees with the 7×7 around it, `[n, 1, h, w]` in (0, 1].

    field, confidence: `[n, 3, h, w]`.
    """
    around = box_mean(confidence, 3).clamp_min(1e-4)
    mean = box_mean(field * confidence, 3) / around
    deviation = (field - mean).square().mean(1, keepdim=True)
    total = confidence.sum((1, 2, 3), keepdim=True).clamp_min(1e-4)
    usual = (deviation * confidence).sum((1, 2, 3), keepdim=True) / total
    return 1 / (1 + deviation / (usual + 1e-7))


def without_outliers(step: Step) -> Step:
    """Less weight for cells that disagree with those around them: wrong matches, and things with light of their own."""
    for _ in range(_ROUNDS):
        step = replace(step, weight=step.weight * outlier_weight(step.log_ratio, step.weight))
    return step

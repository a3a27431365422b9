"""Observations of the tone curve: how the levels of matched pixels change from one frame to another.

Pixels are not compared one by one. Over the pixels visible in both frames, levels of the same rank are compared
(optimal transport in one dimension; Delon, IEEE TIP 2006, does so for whole frames). Then small errors of the matches,
which only reorder pixels, cost nothing, and noise does not dilute slopes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.curve import BRIGHTEST, DARKEST, FLOOR, KNOTS, gain_at, log_level, position
from deflicker.correction.tone.observations import Step
from deflicker.motion.correspondence import Match

_STRIDE_PX = 2
"""Every second pixel and row is enough."""
_BINS = 512
_RANKS = 128
_UNKNOWN = (0.004, 0.985)
"""R'G'B' below and above which a sample may have been cut off."""
_DARK = 0.03
_HALF_WEIGHT = 0.01
"""Fraction of a picture's pixels near a knot at which its step weighs half."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Log levels of matched pixels at the same ranks, of frames `start … start + n - 1`, per half of the picture."""

    offset: int
    start: int
    here: Tensor
    """`[2, n, 3, R]`, rising."""
    there: Tensor
    """`[2, n, 3, R]`: of the frames `offset` later."""
    fraction: Tensor
    """`[2, n, 3]` in [0, 1]: how much of the half was compared."""


def level_bins(frames: Tensor) -> Tensor:
    """Number of each sample's bin of log level, `[T, 3, H, W]` in 0 … BINS - 1."""
    return ((log_level(frames) - DARKEST) * (_BINS / (BRIGHTEST - DARKEST))).int().clamp_(0, _BINS - 1)


def compare(bins: Tensor, match: Match) -> Levels:
    """Levels along a match. bins: of every frame, from `level_bins`."""
    n, (height, width) = len(match.flow_px), bins.shape[-2:]
    ys = torch.arange(0, height, _STRIDE_PX, device=bins.device)
    xs = torch.arange(0, width, _STRIDE_PX, device=bins.device)
    flow_px = match.flow_px[:, :, ys[:, None], xs].round_().long()
    x = (xs + flow_px[:, 0]).clamp_(0, width - 1)
    y = (ys[:, None] + flow_px[:, 1]).clamp_(0, height - 1)
    index = (y * width + x).view(n, 1, -1).expand(n, 3, -1)
    there = bins[match.start + match.offset :][:n].flatten(2).gather(2, index)
    here = bins[match.start : match.start + n, :, ys[:, None], xs].flatten(2)
    darkest, brightest = (int((math.log(v + FLOOR) - DARKEST) * (_BINS / (BRIGHTEST - DARKEST))) for v in _UNKNOWN)
    known = (torch.minimum(here, there) > darkest) & (torch.maximum(here, there) < brightest)
    known &= match.visible[:, :, ys[:, None], xs].flatten(2) > 0
    half = ((ys[:, None] * 2 // height) + (xs * 2 // width)).remainder(2).flatten()
    table = torch.arange(n * 3, device=bins.device).view(n, 3, 1) + half * (3 * n)
    entry = torch.where(known, table, 6 * n) * _BINS
    pixels = torch.bincount(half, minlength=2).view(2, 1, 1)
    counts = [torch.bincount((entry + each).flatten(), minlength=(6 * n + 1) * _BINS) for each in (here, there)]
    histograms = [each[: 6 * n * _BINS].view(2, n, 3, _BINS).float() for each in counts]
    total = histograms[0].sum(-1)
    ranked = [_quantiles(each / total.clamp_min(1)[..., None]) for each in histograms]
    return Levels(match.offset, match.start, ranked[0], ranked[1], total / pixels)


def _quantiles(histograms: Tensor) -> Tensor:
    """Log levels at evenly spread ranks, `[..., R]`, of histograms `[..., BINS]` that sum to 1."""
    reached = histograms.cumsum(-1)
    ranks = (torch.arange(_RANKS, device=histograms.device) + 0.5) / _RANKS
    ranks = ranks.expand(*histograms.shape[:-1], _RANKS).contiguous()
    bins = torch.searchsorted(reached, ranks).clamp_max(_BINS - 1)
    within = 1 - (reached.gather(-1, bins) - ranks) / histograms.gather(-1, bins).clamp_min(1e-9)
    return DARKEST + (bins + within.clamp(0, 1)) * ((BRIGHTEST - DARKEST) / _BINS)


def level_step(levels: Levels, curve: Tensor, halves: slice = slice(None)) -> Step:
    """Step of the tone curve under corrections `[T, 3, KNOTS]`, as one row of cells: knots of the frame's own levels.

    Linear in the corrections around those given, so that minimising and asking again is Gauss-Newton.
    """
    n = levels.here.shape[1]
    mine = curve[levels.start : levels.start + n]
    theirs = curve[levels.start + levels.offset :][:n]
    here, there = levels.here[halves], levels.there[halves]
    left = there + gain_at(theirs, there) - here - gain_at(mine, here)
    below, above = position(here)
    hat = torch.zeros(*here.shape, KNOTS, device=here.device)
    hat.scatter_(-1, below[..., None], (1 - above)[..., None]).scatter_(-1, below[..., None] + 1, above[..., None])
    hat = hat * levels.fraction[halves][..., None, None]
    mass = hat.sum((0, -2))
    step = (hat * left[..., None]).sum((0, -2)) / mass.clamp_min(1e-6)
    level = torch.linspace(DARKEST, BRIGHTEST, KNOTS, device=here.device).exp()
    part = mass / (len(here) * _RANKS)
    weight = part / (part + _HALF_WEIGHT) * (level / (level + _DARK)).square()
    linear = step - (theirs - mine)
    flow = here.new_zeros(n, 2, 1, KNOTS)
    return Step(
        levels.offset, levels.start, flow, torch.where(mass > 1e-3, linear, 0.0)[:, :, None], weight[:, :, None]
    )

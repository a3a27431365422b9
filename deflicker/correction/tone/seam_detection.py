"""Where the seams are: boundaries between frames over which tone steps and stays.

A seam differs from flicker, fades and flashes in one way: it stays. Around each boundary a step and a slope are fitted
to everything observed there; a seam is a boundary where the step alone explains nearly all of the tone's change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.motion.correspondence import Match

_SIDE_FRAMES = 6
"""Frames used on either side of a boundary; chunks of at least this length can be told apart."""
_MIN_SIDE = 3
"""Frames needed on both sides to see that a step stays."""
REGIONS = (5, 5)
"""The grid of regions on which the picture as a whole is judged."""
_MIN_EXPLAINED = 0.6
"""Fraction of the tone's change a step must explain. Seams reach 0.6 to 1; clean clips stay below 0.45 wherever the
step is more than rounding."""
_MIN_EXPLAINED_EXPECTED = 0.4
"""The same where the shot's period predicts a seam."""
_MIN_SIZE = 0.01
"""Root mean square log gain below which a step is not worth touching: one code value in mid-grey."""
_OPENING = 2
"""Boundaries at a shot's beginning over which a step is no seam but an odd beginning: the picture that a generator was
given, or a frame that it had not settled on. They have few frames before them, so more is asked for."""
_EXPLAINED_OPENING = 0.8
"""Fraction of the tone's change that a step there must explain …"""
_MIN_SIZE_OPENING = 0.03
"""… its least size …"""
_CLEAR_OPENING = 6.0
"""… and how many times as large it must be as the steps over the boundaries that follow usually are."""
_LARGEST_OPENING = 1.0
"""Log gain of a region, at most, of a step there that changes colour and light of the whole picture: dark regions of a
first frame that is paler and lifted differ by up to 0.93 …"""
_COLOUR_OPENING = 0.2
"""… the part of the step, in root mean square, in which channels differ: of lamps and exposures 0.05 at most …"""
_SHARED_OPENING = 0.5
"""… and the fraction of the picture that must take part: such first frames have 0.69 and more."""
LARGEST = 0.6
"""Log gain of a region from which a single step is light, not a seam: a lamp that is switched on stays on."""
MIN_VISIBLE = 0.5
"""Fraction of the picture that must be matched across a boundary. On water, less is, and no step can be trusted."""


_MIN_SHARED = 0.15
"""Fraction of the picture that must take part in a step. A seam is a property of the whole chunk; a sign or a lamp that
goes on and off steps as sharply, in few places. Steps drawn by chance for every region have 1/3."""


@dataclass(frozen=True, eq=False)
class StepFit:
    """A step and a slope, fitted around each boundary between frames b and b + 1."""

    explained: Tensor
    """`[T-1]` in [0, 1]: fraction of the tone's change beyond the slope that the step explains."""
    size: Tensor
    """`[T-1]`: root mean square step over regions, log gain."""
    peak: Tensor
    """`[T-1]`: largest step of a region."""
    visible: Tensor
    """`[T-1]`: fraction of the picture matched across the boundary."""
    shared: Tensor
    """`[T-1]` in [0, 1]: fraction of the picture that takes part in the step, (Σ J²)² / (n Σ J⁴) over its n regions."""
    slope: Tensor
    """`[T-1, 3, r, r]`: log gain a frame, over regions."""
    step: Tensor
    """`[T-1, 3 r r]`: log gain of each region."""


def fit_steps(steps: Mapping[int, Step], matches: Mapping[int, Match], frames: int) -> StepFit:
    """Weighted least squares of d = s k + J [the match straddles b] around every boundary b, region by region.

    A fade is all s; flicker straddles some boundaries as much as others and leaves a residual; a flash is in few of the
    matches that straddle a boundary. Only a step that stays is in all of them and in none of the rest.
    """
    value, weight, start, lag = region_steps(steps)
    regions = value.shape[1:]
    value, weight = value.flatten(1), weight.flatten(1)
    at = torch.arange(frames - 1, device=value.device)[:, None]
    near = ((start > at - _SIDE_FRAMES) & (start + lag <= at + _SIDE_FRAMES)).to(value.dtype)
    across = near * ((start <= at) & (start + lag > at))
    lags = lag.to(value.dtype)

    kk, ks, ss = (near * lags**2) @ weight, (across * lags) @ weight, across @ weight
    kv, sv, vv = (near * lags) @ (weight * value), across @ (weight * value), near @ (weight * value**2)
    kk = kk.clamp_min(1e-6)
    precision = (ss - ks**2 / kk).clamp_min(1e-6)
    step = (sv - ks * kv / kk) / precision
    unexplained = (vv - kv**2 / kk).sum(1).clamp_min(1e-9)
    energy = step.view(len(step), 3, -1).square().sum(1)
    visible = torch.minimum(matches[1].visible.mean((1, 2, 3)), matches[-1].visible.mean((1, 2, 3)))
    return StepFit(
        explained=(step**2 * precision).sum(1) / unexplained,
        size=((step**2 * ss).sum(1) / ss.sum(1).clamp_min(1e-6)).sqrt(),
        peak=(step * (ss > 0.1)).abs().amax(1),
        visible=visible,
        shared=energy.sum(1).square() / (energy.square().sum(1) * energy.shape[1]).clamp_min(1e-12),
        slope=((kv - ks * step) / kk).view(-1, *regions),
        step=step,
    )


def region_steps(steps: Mapping[int, Step]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(value, weight) `[rows, 3, r, r]` of the steps from frame `start` to `start + lag`, both ways together."""
    values, weights, starts, lags = [], [], [], []
    for lag in (offset for offset in steps if offset > 0):
        ahead, behind = steps[lag], steps[-lag]
        mass = F.adaptive_avg_pool2d(ahead.weight + behind.weight, REGIONS)
        total = F.adaptive_avg_pool2d(ahead.weight * ahead.log_ratio - behind.weight * behind.log_ratio, REGIONS)
        values.append(total / mass.clamp_min(1e-6))
        weights.append(mass / 2)
        starts.append(torch.arange(len(mass), device=mass.device))
        lags.append(torch.full((len(mass),), lag, device=mass.device))
    return torch.cat(values), torch.cat(weights), torch.cat(starts), torch.cat(lags)


def select_seams(fit: StepFit, first: int, expected: Sequence[int]) -> list[int]:
    """The boundaries from `first` on over which tone steps and stays, in order. Less is asked of `expected` ones."""
    count = len(fit.explained)
    needed = torch.full_like(fit.explained, _MIN_EXPLAINED)
    for boundary in (b for b in expected if 0 <= b < count):
        needed[boundary] = _MIN_EXPLAINED_EXPECTED
    around = F.max_pool1d(fit.explained[None, None], 2 * _MIN_SIDE + 1, 1, _MIN_SIDE)[0, 0]
    seam = (
        (fit.explained >= needed)
        & (fit.explained >= around)
        & (fit.size >= _MIN_SIZE)
        & (fit.visible >= MIN_VISIBLE)
        & (fit.shared >= _MIN_SHARED)
    )
    inner = range(max(first, _MIN_SIDE - 1), count - _MIN_SIDE + 1)
    found = seam.tolist()
    return [b for b in inner if found[b]]


def select_opening(fit: StepFit) -> int | None:
    """The boundary of a shot's first frames over which tone steps and stays, if there is one: see `_OPENING`."""
    if len(fit.size) < _OPENING + 2 * _MIN_SIDE:
        return None
    usual = fit.size[_OPENING + 1 :].median()
    step = fit.step.view(len(fit.step), 3, -1)
    colour = (step - step.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    broad = (colour >= _COLOUR_OPENING * fit.step.norm(dim=1)) & (fit.shared >= _SHARED_OPENING)
    odd = (
        (fit.explained >= _EXPLAINED_OPENING)
        & (fit.size >= _MIN_SIZE_OPENING)
        & (fit.size >= _CLEAR_OPENING * usual)
        & (fit.visible >= MIN_VISIBLE)
        & (fit.shared >= _MIN_SHARED)
        & (fit.peak <= torch.where(broad, _LARGEST_OPENING, LARGEST))
    )[:_OPENING]
    if not bool(odd.any()):
        return None
    return int((fit.explained[:_OPENING] * odd).argmax())


def expected_seams(found: Sequence[int], decided: int, frames: int) -> list[int]:
    """Pictures of a shot before which its period predicts a seam, among the `frames` following `decided`.

    found: where seams were. The period is the shortest distance between two of them, where all others are multiples
    of it: three seams at least, or two and the beginning of the shot.
    """
    seams = sorted({0, *found})
    gaps = [b - a for a, b in pairwise(seams)]
    if gaps and any(gap % min(gaps) for gap in gaps):
        gaps = gaps[1:]  # the shot began within a chunk
    if len(gaps) < 2 or any(gap % min(gaps) for gap in gaps):
        return []
    return list(range(found[-1] + min(gaps), decided + frames, min(gaps)))

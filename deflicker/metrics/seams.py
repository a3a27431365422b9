"""Seams: single lasting steps of tone, such as where a generator joined two chunks, and how often they come.

A step is what the whole picture's tone changes by along motion between two frames. Flicker steps back, a fade steps on
and on; a seam steps once and stays. Pure functions of one shot's steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from deflicker.metrics.align import masked_mean

SMALLEST = 1.5
"""Step in code values of 255 below which nobody sees a seam (0.6 % of white)."""
_TIMES_USUAL = 5.0
"""How many times the usual step a seam is at least."""
_SIDE_FRAMES = 4
"""Frames before and after over which a seam must last."""
_LASTS = 0.6
"""Part of the step that the mean tone of those frames must have kept."""
_TIMES_NOISE = 4.0
"""How many standard deviations of the shot's flicker that is at least: flicker steps too, at random."""


def tone_step(here: Tensor, later: Tensor, visible: Tensor) -> Tensor:
    """Mean change of tone to the next frame along motion, `[n, C]`: planes `[n, C, H, W]`, visible `[n, 1, H, W]`."""
    step = later - here
    return torch.stack([masked_mean(step[:, c : c + 1], visible) for c in range(step.shape[1])], 1)


def find_seams(steps: Tensor) -> list[int]:
    """The frames of a shot of T frames before which a seam lies, 1 … T − 1, in order.

    steps: `[T − 1, C]`, step t leads from frame t to frame t + 1, in code values of 255. In some channel a seam exceeds
    `SMALLEST` and 5 times the usual step, is the largest step around, and with trends taken off the tone of the four
    frames after it differs from that of the four before by most of it, and by more than flicker would.
    """
    steps = steps.nan_to_num(0)
    if not len(steps):
        return []
    limit = (_TIMES_USUAL * steps.abs().median(0).values).clamp_min(SMALLEST)
    tone = torch.cat([steps.new_zeros(1, steps.shape[1]), steps.cumsum(0)])
    # Half of a normal distribution lies within 0.6745 σ, and second differences of noise are √6 times as large.
    shakes = steps.diff(dim=0).abs()
    flicker = shakes.median(0).values / (0.6745 * 6**0.5) if len(shakes) else torch.zeros_like(limit)
    return [at for at in range(1, len(tone)) if _is_seam(tone, steps, limit, _TIMES_NOISE * flicker, at)]


def _is_seam(tone: Tensor, steps: Tensor, limit: Tensor, noise: Tensor, at: int) -> bool:
    first, last = max(0, at - _SIDE_FRAMES), min(len(tone), at + _SIDE_FRAMES)
    trend = _trend(tone, at)
    size = steps[at - 1] - trend
    level = tone[first:last] - trend * torch.arange(first, last, dtype=tone.dtype)[:, None]
    before, after = level[: at - first], level[at - first :]
    lasting = (after.mean(0) - before.mean(0)) * size.sign()
    largest = steps[at - 1].abs() >= steps[first : last - 1].abs().amax(0)
    stands_out = torch.minimum(size.abs(), steps[at - 1].abs()) > limit
    seam = stands_out & largest & (lasting > _LASTS * size.abs()) & (lasting > noise)
    return bool(seam.any())


def _trend(tone: Tensor, at: int) -> Tensor:
    """Change per frame around a place, `[C]`: the median of slopes over up to four frames, bent by no step or flash."""
    around = tone[max(0, at - 2 * _SIDE_FRAMES) : at + 2 * _SIDE_FRAMES]
    reach = min(_SIDE_FRAMES, max(1, len(around) // 4))  # so that most slopes do not span a step in the middle
    return ((around[reach:] - around[:-reach]) / reach).median(0).values


def seam_period(seams: Sequence[int]) -> int | None:
    """Frames from seam to seam where they come at regular intervals; None where they do not, or are fewer than three.

    A missed seam is forgiven: every interval must be a whole multiple of the period, to within a tenth of it or
    half a frame, and most of them the period itself.
    """
    intervals = [after - before for before, after in pairwise(seams)]
    if len(intervals) < 2:
        return None
    shortest = min(intervals)
    multiples = [round(interval / shortest) for interval in intervals]
    period = sum(intervals) / sum(multiples)
    slack = max(0.5, 0.1 * period)
    regular = all(abs(i - m * period) <= slack for i, m in zip(intervals, multiples, strict=True))
    return round(period) if regular and sum(multiples) < 2 * len(multiples) else None

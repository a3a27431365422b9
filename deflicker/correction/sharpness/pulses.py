"""Find sharpness that pulses with a period, and what takes it off.

Let a(t) be the logarithm of a picture's detail, by frequency. What decoders and interpolators do to every n-th frame
repeats in its steps a(t) − a(t − 1) with period n; what a camera does does not. The steps of equal phase are averaged
by their median. If that template explains nearly all of the steps' variance, sharpness pulses, and the template's
running sum is its course over one period.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

_PERIODS = range(2, 11)
_CYCLES = 2.5
"""Least number of periods that must be seen …"""
_STEPS = 8
"""… and of steps."""
_EXPLAINED = 0.75
"""Part of the steps' variance that the template must explain, what it would explain by chance counted off."""
_RANGE = 0.2
"""Least range of the course, natural logarithm of amplitude, mean over `_FINE`. What codecs leave in films that look
clean reaches 0.14."""
_FINE = slice(3, None)
"""Bands of frequency that are asked whether sharpness pulses."""
_ALONE = 0.7
"""Part of the range by which a phase must be sharper than the median of the others to be the odd one."""
_SAME = 0.15
"""Part of the range within which phases are as sharp as the sharpest."""
_DIRECTIONS = 0.5
"""Least range in the direction in which detail changes less, over that in the other: motion blur has one direction."""
_MOST = math.log(4.0)
"""Largest gain, natural logarithm."""


@dataclass(frozen=True, eq=False)
class Pulses:
    """Sharpness that pulses."""

    log_gains: tuple[Tensor | None, ...]
    """`[BANDS]` for each phase, which steadies it; None where it is as it should be."""

    @property
    def period(self) -> int:
        """In pictures."""
        return len(self.log_gains)


def find_pulses(steps: Tensor) -> Pulses | None:
    """What pulses in steps `[T, 2, BANDS]` from picture to picture; None where nothing does.

    Row 0 has phase 0, and leads to the picture of phase 0.
    """
    fine = steps[..., _FINE].mean(2)
    variance = fine.mean(1).square().sum().item()
    for period in _PERIODS:
        if len(steps) < max(_STEPS, _CYCLES * period) or variance == 0:
            return None
        template = _medians(fine, period)
        rest = (fine - template.repeat(len(fine) // period + 1, 1)[: len(fine)]).mean(1)
        left = rest.square().sum().item() / variance * len(fine) / (len(fine) - period)
        if 1 - left >= _EXPLAINED:
            courses = template.cumsum(0)
            across, along = (_range(each) for each in courses.T)
            sure = min(across, along) >= _DIRECTIONS * max(across, along) and _range(courses.mean(1)) >= _RANGE
            return _pulses(_medians(steps, period).mean(1).cumsum(0), courses.mean(1)) if sure else None
    return None


def _medians(steps: Tensor, period: int) -> Tensor:
    """Steps of each phase, `[period, ...]`; together they lead back to where they start from."""
    medians = torch.stack([steps[phase::period].median(0).values for phase in range(period)])
    return medians - medians.mean(0)


def _range(course: Tensor) -> float:
    return (course.max() - course.min()).item()


def _pulses(courses: Tensor, course: Tensor) -> Pulses:
    """courses: `[period, BANDS]`, of detail over one period; course: `[period]`, how sharp each phase is."""
    range_, sharpest = _range(course), int(course.argmax())
    levels: Sequence[float] = course.tolist()
    others = [phase for phase in range(len(levels)) if phase != sharpest]
    if len(levels) > 2 and levels[sharpest] - median(levels[k] for k in others) >= _ALONE * range_:
        usual, wrong = others, [sharpest]
    else:
        usual = [k for k in range(len(levels)) if levels[k] >= levels[sharpest] - _SAME * range_]
        wrong = [k for k in range(len(levels)) if k not in usual]
    wanted = courses[usual].mean(0)
    gains = [(wanted - courses[k]).clamp(-_MOST, _MOST) if k in wrong else None for k in range(len(levels))]
    return Pulses(tuple(gains))

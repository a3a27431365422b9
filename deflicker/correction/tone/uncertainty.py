"""How uncertain steps are, from the steps themselves: two consecutive ones must add up to the step over both."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import Pyramid

_STEPS_IN_ERROR = 4
"""Variances of a step from one frame to the next in a closure error: of two such steps, and of one over two frames,
which has that of both."""


def closure_error(steps: Mapping[int, Step], lag: int) -> tuple[Tensor, Tensor]:
    """What two steps of half a lag miss the step over the lag by, and its weight: `[n, 3, h, w]` each."""
    near, far = steps[lag // 2], steps[lag]
    first, second = slice(0, len(far.log_ratio)), slice(lag // 2, lag // 2 + len(far.log_ratio))
    error = far.log_ratio - near.log_ratio[first] - near.log_ratio[second]
    return error, far.weight * near.weight[first] * near.weight[second]


def step_noise(steps: Mapping[int, Step]) -> dict[int, Tensor]:
    """Variance of the error of a step of all cells, by lag, where errors grow with the distance."""
    noise: dict[int, Tensor] = {}
    for lag in (k for k in steps if k > 1):
        error, weight = closure_error(steps, lag)
        mass = weight.sum((2, 3))
        error = (error * weight).sum((2, 3)) / mass.clamp_min(1e-6)
        variance = (error.square() * mass).sum() / mass.sum().clamp_min(1e-6)
        if lag == 2:
            noise[1], noise[2] = variance / _STEPS_IN_ERROR, variance / 2
        else:
            noise[lag] = torch.maximum(variance - 2 * noise[lag // 2], noise[lag // 2])
    return noise


def level_noise(steps: Mapping[int, Step], pyramid: Pyramid) -> Tensor:
    """Variance of the error of a step from one frame to the next, of each level: `[levels]`."""
    bands = pyramid.split(*closure_error(steps, 2))
    return torch.stack(
        [(error.square() * weight).sum() / weight.sum().clamp_min(1e-6) / _STEPS_IN_ERROR for error, weight in bands]
    )

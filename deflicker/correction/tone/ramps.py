"""Ramps in a course of tone: the best division of it into flat parts and parts that change at one rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LENGTHS = range(3, 19)
"""Frames that a ramp may take."""
_APART = 2
"""Least frames between two ramps."""
_COST = 20.0
"""Energy beyond chance that a ramp must explain, in units of the variance of a change."""
_LEAST_ERROR = (6e-4, 2e-4, 2e-4)
"""Standard deviation of a change over one boundary, of light and of colour: rounding makes no less."""
_TO_SIGMA = 0.6745 * 2**0.5
"""Median absolute difference of two equal normal errors, in standard deviations of one."""


@dataclass(frozen=True, eq=False)
class Ramp:
    """A part of the course: the boundaries from `start` up to `end`, and the change over all of them."""

    start: int
    end: int
    change: Tensor
    """`[3]`: light, and two of colour."""

    @property
    def frames(self) -> int:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2

    @property
    def size(self) -> float:
        """Root mean square log gain over the channels."""
        return float(self.change.norm())

    @property
    def colour(self) -> float:
        """The same of what channels do not share."""
        return float(self.change[1:].norm())

    @property
    def rate(self) -> float:
        """Colour over each boundary."""
        return self.colour / self.frames


def light_and_colour(change: Tensor) -> Tensor:
    """Log gain of R, G and B `[..., 3]` as light, their mean, and two of colour. |.|² is the channels' mean square."""
    red, green, blue = change.unbind(-1)
    return torch.stack([(red + green + blue) / 3, (red - blue) / 6**0.5, (2 * green - red - blue) / 18**0.5], -1)


def channels(look: Tensor) -> Tensor:
    """Log gain of R, G and B `[..., 3]`: the way back of `light_and_colour`."""
    light, warm, green = look.unbind(-1)
    rest, apart = light - green / 2**0.5, warm * 1.5**0.5
    return torch.stack([rest + apart, light + green * 2**0.5, rest - apart], -1)


def usual_error(course: Tensor) -> Tensor:
    """Standard deviation `[3]` of a course's errors, from how it differs from one boundary to the next, `[n, 3]`."""
    usual = course.diff(dim=0).abs().median(0).values / _TO_SIGMA
    return torch.maximum(usual, course.new_tensor(_LEAST_ERROR))


def find_ramps(course: Tensor) -> list[Ramp]:
    """The ramps of a course `[n, 3]` of light and colour, in order, by dynamic programming.

    A ramp is worth n |mean change|² over its n boundaries, in units of the changes' own variance, less what it costs.
    """
    count = len(course)
    if count <= _LENGTHS.start + 2 * _APART:
        return []
    scaled = course / usual_error(course)
    sums = torch.cat([torch.zeros_like(scaled[:1]), scaled.cumsum(0)]).tolist()
    worth, ramp_to = [0.0] * (count + 1), [0] * (count + 1)
    for end in range(1, count + 1):
        worth[end] = worth[end - 1]
        if end > count - _APART:
            continue
        for length in _LENGTHS:
            start = end - length
            if start < _APART:
                break
            energy = sum((b - a) ** 2 for a, b in zip(sums[start], sums[end], strict=True)) / length
            found = worth[start - _APART] + energy - _COST
            if found > worth[end]:
                worth[end], ramp_to[end] = found, length
    ramps, end = [], count
    while end > 0:
        if ramp_to[end] == 0:
            end -= 1
            continue
        start = end - ramp_to[end]
        ramps.append(Ramp(start, end, course[start:end].sum(0)))
        end = start - _APART
    return ramps[::-1]

"""First frames of a shot that settle: a generator begins brighter, paler or redder and needs a few frames to its look.

Exposure and fades settle as well, and are meant. They change the light of all channels alike; so only a course is taken
for a generator's in which colour has a good part: one direction over the picture, ever smaller steps, an end within a
few frames, and nothing like it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.observations import Step, observe, without_outliers
from deflicker.correction.tone.seam_detection import region_steps
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import box_mean
from deflicker.motion.warp import sample, target_grid

_MOST = 7
"""Frames that may be unsettled."""
_FEWEST = 2
"""One odd frame is an opening (`seam_detection.select_opening`)."""
_FRAMES_AFTER = 8
"""Frames after the longest course that must be there to show that it is over."""
_MIN_SIZE = 0.03
"""Root mean square log gain of the whole course, at least …"""
_CLEAR = 6.0
"""… and so many times the largest step along it afterwards."""
_COLOUR = 0.2
"""Part of the course, in root mean square, in which channels differ: at most 0.05 of exposures and fades, at least 0.31
of generators' courses."""
_SHRINKS = 1.2
"""A step may be so many times the one before it."""
_ALIKE = 0.8
"""Part of each step that must lie along the course."""
_DRIFTS = 0.1
"""Part of the course by which tone may go on along it afterwards."""
_LARGEST = 0.9
"""Log gain of a region from which it is a fade from a colour or a lamp: dark regions of a picture that is paler by a
third and lifted rise by 0.5."""
_MIN_SHARED = 0.5
"""Fraction of the picture that must take part in the course, as of seams. Generators' courses have 0.63 and more."""
_MIN_VISIBLE = 0.5
"""As of seams."""
_BROAD = 0.05
"""Weight of a cell's wide surroundings beside its near ones."""


def settling_gain(proxies: Tensor, matches: Mapping[int, Match], steps: Mapping[int, Step]) -> Tensor:
    """The log gain `[k, 3, h, w]` that gives a shot's first k frames the look it settles to; k = 0 where it does not.

    proxies: `[T, 3, H, W]`, from the shot's first; matches: at ±1 and further lags; steps: what was observed on them.
    """
    frames = len(proxies)
    count = _unsettled(steps, matches) if frames >= _MOST + _FRAMES_AFTER else 0
    if count == 0:
        return steps[1].log_ratio[:0]
    gain = _settled(steps, count)
    level = torch.cat([apply_gain(proxies[:count], upsample_cells(gain, _size(proxies))).clamp(0, 1), proxies[count:]])
    # Dark cells show less of a gain than all of it.
    again = {offset: without_outliers(observe(level, match)) for offset, match in matches.items() if offset > 0}
    return gain + _settled(again, count)


def _size(proxies: Tensor) -> tuple[int, int]:
    return proxies.shape[-2], proxies.shape[-1]


def _unsettled(steps: Mapping[int, Step], matches: Mapping[int, Match]) -> int:
    """How many first frames are unsettled; 0 for none. One wait for the device."""
    value, weight, _, lag = region_steps(steps)
    value, weight = value[lag == 1], weight[lag == 1].mean(0)
    mass = weight.sum().clamp_min(1e-6)

    def rms(each: Tensor) -> Tensor:
        return ((each.square() * weight).sum((-3, -2, -1)) / mass).sqrt()

    course = value[:_MOST].sum(0)
    along = (value * course * weight).sum((1, 2, 3)) / mass / rms(course).clamp_min(1e-6)
    colour = rms(course - course.mean(0))
    peak = (course.abs() * (weight > 0.1)).amax()
    energy = (course.square() * weight).sum(0)
    part = energy.sum().square() / (energy.square().sum() * energy.numel()).clamp_min(1e-12)
    visible = torch.minimum(matches[1].visible.mean((1, 2, 3)), matches[-1].visible.mean((1, 2, 3)))[:_MOST].amin()
    numbers = torch.cat([torch.stack([rms(course), colour, peak, part, visible]), along, rms(value)]).tolist()
    (size, coloured, highest, share, seen), rest = numbers[:5], numbers[5:]
    components, sizes = rest[: len(value)], rest[len(value) :]
    usual = max(map(abs, components[_MOST:]))
    count = next((n for n, each in enumerate(components[: _MOST + 1]) if each <= 2 * usual), 0)
    is_course = (
        count >= _FEWEST
        and size >= max(_MIN_SIZE, _CLEAR * usual)
        and coloured >= _COLOUR * size
        and highest <= _LARGEST
        and share >= _MIN_SHARED
        and seen >= _MIN_VISIBLE
        and abs(sum(components[count : count + _FRAMES_AFTER])) <= _DRIFTS * size
    )
    shrinks = all(after <= _SHRINKS * before + usual for before, after in pairwise(components[:count]))
    shared = all(each >= _ALIKE * whole - usual for each, whole in zip(components[:count], sizes, strict=False))
    return count if is_course and shrinks and shared else 0


def _settled(steps: Mapping[int, Step], count: int) -> Tensor:
    """Log gain `[count, 3, h, w]` that leads from each of the first frames to those after them, the last one first."""
    like = steps[1].log_ratio[0]
    gains = [torch.zeros_like(like)] * (count + max(steps))
    for frame in range(count - 1, -1, -1):
        total, mass = torch.zeros_like(like), torch.zeros_like(like)
        for offset, step in steps.items():
            if offset < 0 or frame >= len(step.log_ratio):
                continue
            there = sample(gains[frame + offset][None], target_grid(step.flow_cells[frame : frame + 1]))[0]
            total += step.weight[frame] * (step.log_ratio[frame] + there)
            mass += step.weight[frame]
        gains[frame] = _spread(total) / _spread(mass).clamp_min(1e-6)
    return torch.stack(gains[:count])


def _spread(field: Tensor) -> Tensor:
    """Of a cell, those around it, and a little of those farther away."""
    return box_mean(field, 1) + _BROAD * box_mean(field, 6)

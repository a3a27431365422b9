"""Sawtooths: seams that answer a slope, as those of automatic exposure while the light falls.

A seam taken off stays off. Where light drifts one way between seams and every seam answers it the other way, that would
let the drift run on for ever, away from the film's own slow course. There what a seam answered is given back as a slope
over its chunk: the sawtooth goes, and the course through it stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.tone.seam_detection import REGIONS
from deflicker.motion.filters import ramp

_ANSWERED = (0.1, 0.3)
"""Share of a step that the slope before it must have built up, from which it counts as an answer, and does in full."""
_LONGEST = 96
"""Frames between two seams of a sawtooth, at most."""
_FAR_SIDE = 0.75
"""Part of its step that a correction may lie beyond zero, so that it may swing around it."""
_CENTRING_FRAMES = 16
"""Time constant with which the middle of a sawtooth's correction comes to zero, where the first of its seams were not
found or the sawtooth begins within a shot."""
_BOUND = 0.35
"""Log gain, half a stop, that the mean over a picture of all seams together stays within in the long run …"""
MOST = 0.5
"""… and at any time."""
_BACK_FRAMES = 12
"""Time constant with which it comes back into the bound."""


@stored
@dataclass(frozen=True, eq=False)
class Slope:
    """What is given back after the last seam of a shot."""

    rate: Tensor
    """`[3, h, w]`, log gain a frame."""
    step: Tensor
    """`[3, h, w]`: of that seam."""
    frames: int
    """For how many frames after the seam, as long as no other comes."""


@dataclass(frozen=True)
class Place:
    """A frame's place on a slope."""

    slope: Slope
    part: float
    """Of the slope's frames that lie before it, 0 … 1."""


def places(slope: Slope, begin: int, frames: range) -> dict[int, Place]:
    """The places of frames on a slope that begins with frame `begin`."""
    return {frame: Place(slope, (frame - begin) / slope.frames) for frame in frames}


@dataclass(frozen=True)
class Answered:
    """A seam, as far as it answers a slope."""

    frame: int
    """That it lies before."""
    step: Tensor
    """`[3, h, w]`."""
    share: float
    """Part of the step that the slope of the chunk before it had built up, 0 … 1."""
    length: int
    """Of that chunk, in frames."""


def answers(
    steps: Mapping[int, Tensor], slope: Tensor, last: int | None, *, known: Slope | None = None
) -> list[Answered]:
    """Which of the seams answer a slope, and by how much.

    steps: `[3, h, w]` by the frame that a seam lies before; slope: `[T-1, 3, r, r]`, log gain a frame at each boundary;
    last: the seam before all of these, which may be negative; None where there was none. One seam alone says nothing:
    it and the one before must both answer.
    """
    found: list[Answered] = []
    before, answered_before = last, known is not None
    for frame in sorted(steps):
        step = F.adaptive_avg_pool2d(steps[frame], REGIONS)
        length = frame - before if before is not None else 0
        ahead = min((other - frame for other in steps if other > frame), default=length)
        built_up = -slope[frame - 1] * (length or ahead)
        share = float((built_up * step).sum() / step.square().sum().clamp_min(1e-12))
        share = min(share, 1.0) * float(ramp(torch.tensor(share), _ANSWERED))
        if share > 0 and answered_before and 0 < length <= _LONGEST:
            found.append(Answered(frame, steps[frame], share, length))
        before, answered_before = frame, share > 0
    return found


def slopes(
    found: Sequence[Answered], seams: Sequence[int], frames: int, past: int, known: Slope | None, last: int | None
) -> dict[int, Place]:
    """The slope that each undecided frame of a window is part of.

    found: from `answers`; seams: all of the window's; known: what the window before left; last: the seam before it.
    """
    of_frame: dict[int, Place] = {}
    if known is not None and last is not None:
        end = min([last + known.frames, *seams])
        of_frame |= places(known, last, range(past, min(end, frames)))
    for each in found:
        slope = Slope(each.step * (each.share / each.length), each.step, each.length)
        begin, earlier = each.frame - each.length, [s for s in seams if s < each.frame]
        if past == 0 and len(earlier) == 1:  # the shot's first chunk is like its second
            begin = earlier[0] - each.length
        of_frame |= places(slope, begin, range(max(begin, past), each.frame))
        end = min([each.frame + each.length, *(s for s in seams if s > each.frame)])
        of_frame |= places(slope, each.frame, range(each.frame, min(end, frames)))
    return of_frame


def given_back(level: Tensor, place: Place | None) -> Tensor:
    """The next frame's correction, `[3, h, w]`, a frame further along a slope and no further from zero than it may."""
    if place is None:
        return level
    slope, energy = place.slope, place.slope.step.square().sum().clamp_min(1e-12)
    beyond = float((level * slope.step).sum() / energy)
    if beyond >= _FAR_SIDE:
        return level
    share = float((slope.rate * slope.step).sum() / energy) * slope.frames
    return level + slope.rate + slope.step * (share * (place.part - 0.5 - beyond) / _CENTRING_FRAMES)


def stepped(level: Tensor, step: Tensor) -> Tensor:
    """The correction `[3, h, w]` after a seam, as far as the bound on its mean lets it be taken off."""
    mean, wanted = level.mean((1, 2), keepdim=True), (level - step).mean((1, 2), keepdim=True)
    most = torch.maximum(mean.abs(), torch.full_like(mean, MOST))
    return level - step - (wanted - wanted.clamp(-most, most))


def towards_bound(level: Tensor) -> Tensor:
    """The correction `[3, h, w]` a frame later: what of its mean lies out of the bound goes by and by."""
    mean = level.mean((1, 2), keepdim=True)
    return level - (mean - mean.clamp(-_BOUND, _BOUND)) / _BACK_FRAMES

"""Cross-fades: a generator makes a video in windows of frames and blends each into the next over a few frames.

Tone is then steady within a window, and goes to the next one's at one rate. Exposure, lamps and clouds change tone as
slowly. So ramps are taken for cross-fades only where colour changes with light, alike over the whole picture, between
parts that are flat, and where it happens again: as long, as far apart, and never back to the look there was. Where each
changes colour as the others do, as in windows that are each a little warmer than the one before, colour alone tells,
whatever the light of the shot does meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import torch
from torch import Tensor

from deflicker.correction.tone.ramp_shape import shape_errors
from deflicker.correction.tone.ramps import Ramp, channels, find_ramps, light_and_colour, usual_error

_MIN_COLOUR = 0.006
"""Root mean square log gain of a ramp's colour, at least: clean clips drift by 0.003, unevenly …"""
_COLOUR = 0.15
"""… and its least part of the whole: exposures have 0.05 at most."""
_LARGEST = (0.06, 0.3)
"""Root mean square log gain of a ramp from which it is light: of colour, and of all."""
_AROUND = 8
"""Frames on either side of a ramp that are looked at."""
_OFF = (0.1, 0.28)
"""How far the course may lie from the ramp, root mean square, as a part of it: of colour, and of all. Light that eases
in and out, or comes nearer ever more slowly, lies farther off; light has other reasons to change meanwhile."""
_BETTER = 0.8
"""Part of the squared error of a ramp at one rate that another shape must leave at most, to be the better one."""
_FLAT = (0.25, 0.6)
"""Rate of change beside a ramp as a part of the ramp's: of colour, and of all."""
_SHORT = 4
"""Boundaries of a part between ramps from which its slope can be told."""
_STEEP = 0.4
"""Rate of a neighbour's colour, as a part of a ramp's, from which it is a ramp as well and no drift."""
_UNEVEN = (0.25, 0.28)
"""Spread over regions of a ramp, as a part of it, beyond what is usual where tone is flat: of colour, and of all.
Lamps, even one that lights half of a room, have 0.3 and more …"""
_MOST_UNEVEN = 0.6
"""… and its most, of colour, whatever is usual: what drifts in clean clips has 0.8 and more."""
_RIVAL = 0.5
"""Colour of a change that is no cross-fade, as a part of theirs, from which none is believed."""
_ALIKE = 0.35
"""How far a change of colour may be from the mean of those that are alike, as a part of it."""
_MANY = 3
"""Changes that are alike and regular, from which they are no light, whatever their shape."""
_AGREED = 0.35
"""Median distance of the light of fades from its median, as a part of it, up to which they agree about it."""
_LENGTHS = 2.2
"""How many times as long as the shortest the longest may be."""
_FIRST = 1.4
"""Frames before the first, in units of their distance, at most: windows begin with the shot."""
_IRREGULAR = 0.2
"""Part of their distance by which one may be off."""
_MISSED = 1.5
"""Distances for each two neighbours, at most: most are there."""
_BACK = 0.5
"""A change over several that is smaller than this part of the largest of them is light that goes and comes."""

_REMEMBERED = 160
"""Boundaries of a shot that are remembered."""


def find_cross_fades(course: Tensor) -> list[Ramp]:
    """The cross-fades of a course `[n, 3, 1 + m]` (`tone_course`), at least two, in order; else none."""
    picture, regions = light_and_colour(course[..., 0]), light_and_colour(course[..., 1:].transpose(1, 2))
    if fades := _regular_fades(picture, regions):
        return fades
    colour = _without_light(picture)
    fades = _regular_fades(colour, _without_light(regions), alike=True)
    return _with_their_light(picture, find_ramps(colour), fades)


def _regular_fades(picture: Tensor, regions: Tensor, *, alike: bool = False) -> list[Ramp]:
    """Ramps of the picture's course `[n, 3]` that pass for cross-fades; regions: `[n, m, 3]`.

    alike: they must change the look alike. What looks like them then need not be clear, and three or more need not go
    at one rate.
    """
    ramps = find_ramps(picture)
    coloured = [k for k, ramp in enumerate(ramps) if _is_coloured(ramp)]
    fades = [k for k in coloured if _is_clear(picture, ramps, k) and _is_even(picture, regions, ramps, k)]
    if len(fades) < 2:
        return []
    least = _RIVAL * min(ramps[k].colour for k in fades)
    if alike:
        look = torch.stack([ramps[k].change for k in fades]).mean(0)
        near = [k for k in coloured if float((ramps[k].change - look).norm()) <= _ALIKE * float(look.norm())]
        if not set(fades) <= set(near):
            return []
        fades = near
    if any(ramps[k].colour >= least for k in coloured if k not in fades):
        return []
    found = [ramps[k] for k in fades]
    if not _are_regular(found) or _goes_back(found):
        return []
    sure = alike and len(found) >= _MANY
    return found if sure or _go_at_one_rate(picture, ramps, fades) else []


def _without_light(course: Tensor) -> Tensor:
    """Colour `[..., 3]` alone: the light of a shot that moves has a course of its own."""
    return torch.cat([torch.zeros_like(course[..., :1]), course[..., 1:]], -1)


def _with_their_light(course: Tensor, ramps: Sequence[Ramp], fades: Sequence[Ramp]) -> list[Ramp]:
    """Fades that change colour alike, with the light that they share, the median of what the course has beyond that
    beside them; without light where they do not agree about it."""
    if not fades:
        return []
    beyond = []
    for number, ramp in enumerate(ramps):
        if any(ramp.start == fade.start for fade in fades):
            first, last = _surroundings(ramps, number, len(course))
            beside = (course[first : ramp.start, 0].mean() + course[ramp.end : last, 0].mean()) / 2
            beyond.append(course[ramp.start : ramp.end, 0].sum() - ramp.frames * beside)
    each = torch.stack(beyond)
    light = each.quantile(0.5)
    if float((each - light).abs().quantile(0.5)) > _AGREED * abs(float(light)):
        light = torch.zeros_like(light)
    return [replace(fade, change=torch.cat([light[None], fade.change[1:]])) for fade in fades]


def _is_coloured(ramp: Ramp) -> bool:
    return ramp.colour >= max(_MIN_COLOUR, _COLOUR * ramp.size)


def _is_clear(course: Tensor, ramps: Sequence[Ramp], number: int) -> bool:
    """Whether the course `[n, 3]` goes along a ramp at one rate, and stays before and after it."""
    ramp = ramps[number]
    first, last = _surroundings(ramps, number, len(course))
    size = torch.tensor([ramp.colour, ramp.size])
    chance = _energy(usual_error(course))
    rate = course[first:last].clone()
    rate[ramp.start - first : ramp.end - first] -= ramp.change / ramp.frames
    off = torch.cat([torch.zeros_like(rate[:1]), rate.cumsum(0)])
    off = off - off.mean(0)
    steep = [0 <= k < len(ramps) and ramps[k].rate >= _STEEP * ramp.rate for k in (number - 1, number + 1)]
    before = _slope(course[first : ramp.start], chance, between=steep[0])
    after = _slope(course[ramp.end : last], chance, between=steep[1])
    slopes = torch.maximum(before, after)
    errors = (_energy(off) - chance / 2).clamp_min(0).sqrt()
    is_flat = slopes <= torch.tensor(_FLAT) * size / ramp.frames
    return bool(((size <= torch.tensor(_LARGEST)) & (errors <= torch.tensor(_OFF) * size) & is_flat).all())


def _slope(side: Tensor, chance: Tensor, *, between: bool) -> Tensor:
    """Mean change over each boundary of a part `[n, 3]` beside a ramp, beyond chance's, of colour and of all, `[2]`.

    Half of it where the part is short and lies between two steep ramps, which may end and begin within its boundaries.
    """
    mean = side.mean(0) / (2 if between and len(side) < _SHORT else 1)
    return (_energy(mean) - chance / len(side) ** 2).clamp_min(0).sqrt()


def _go_at_one_rate(course: Tensor, ramps: Sequence[Ramp], numbers: Sequence[int]) -> bool:
    """Whether other shapes fit the course no better, along any of these ramps or all of them."""
    errors = []
    for number in numbers:
        first, last = _surroundings(ramps, number, len(course))
        path = torch.cat([torch.zeros_like(course[:1]), (course[first:last] / usual_error(course)).cumsum(0)])
        errors.append(shape_errors(path, ramps[number].start - first, ramps[number].end - first))
    one_rate, others = zip(*errors, strict=True)
    return sum(others) >= sum(one_rate) and all(other >= _BETTER * one for one, other in errors)


def _is_even(picture: Tensor, regions: Tensor, ramps: Sequence[Ramp], number: int) -> bool:
    """Whether all regions, whose courses are `[n, m, 3]`, take part in a ramp of the picture's `[n, 3]`."""
    ramp, (first, last) = ramps[number], _surroundings(ramps, number, len(picture))
    apart = regions - picture[:, None]
    size = torch.tensor([ramp.colour, ramp.size]).square()
    usual = []
    for side in (apart[first : ramp.start], apart[ramp.end : last]):
        frames = min(ramp.frames, len(side))
        sums = side.unfold(0, frames, 1).sum(3)
        usual.append(_energy(sums) * ramp.frames / frames)
    uneven = _energy(apart[ramp.start : ramp.end].sum(0)) / size
    beyond = uneven - torch.stack(usual).mean(0) / size
    return bool((beyond <= torch.tensor(_UNEVEN).square()).all() & (uneven[0] <= _MOST_UNEVEN**2))


def _energy(change: Tensor) -> Tensor:
    """Mean squares of changes `[..., 3]`, of colour and of all, `[2]`."""
    return torch.stack([change[..., 1:].square().sum(-1).mean(), change.square().sum(-1).mean()])


def _surroundings(ramps: Sequence[Ramp], number: int, frames: int) -> tuple[int, int]:
    """The boundaries around a ramp that are looked at, up to its neighbours."""
    ramp = ramps[number]
    first = max(ramp.start - _AROUND, ramps[number - 1].end if number else 0)
    return first, min(ramp.end + _AROUND, ramps[number + 1].start if number + 1 < len(ramps) else frames)


def _are_regular(fades: Sequence[Ramp]) -> bool:
    """Whether they are as long as each other, and as far apart, from the beginning on."""
    lengths = [fade.frames for fade in fades]
    gaps = [after.middle - before.middle for before, after in pairwise(fades)]
    counts = [round(gap / min(gaps)) for gap in gaps]
    period = sum(gaps) / sum(counts)
    return (
        max(lengths) <= _LENGTHS * min(lengths)
        and all(abs(gap - count * period) <= _IRREGULAR * period for gap, count in zip(gaps, counts, strict=True))
        and sum(counts) <= _MISSED * len(counts)
        and fades[0].middle <= _FIRST * period
    )


def _goes_back(fades: Sequence[Ramp]) -> bool:
    """Whether a look comes back that there was before."""
    looks = torch.stack([fade.change for fade in fades]).cumsum(0)
    looks = torch.cat([torch.zeros_like(looks[:1]), looks])
    return any(
        float((looks[j] - looks[i]).norm()) < _BACK * max(fade.size for fade in fades[i:j])
        for i, j in combinations(range(len(looks)), 2)
        if j > i + 1
    )


@dataclass(frozen=True, eq=False)
class ShotCourse:
    """The course of tone of a shot so far, with the window at its end."""

    change: Tensor
    """`[n, 3, 1 + m]` (`tone_course`), on the CPU."""
    window: int
    """Which boundary is the window's first, between its frames 0 and 1."""

    @classmethod
    def extended(cls, known: Tensor | None, window: Tensor | None, past: int) -> ShotCourse | None:
        """What was known up to the last of the window's `past` decided frames, and the window's own after it."""
        if window is None:
            return None
        if known is None or past == 0:
            return cls(window, 0)
        return cls(torch.cat([known, window[past - 1 :]]), len(known) - past + 1)

    def kept(self, decided: int) -> Tensor:
        """What the next window must know, where `decided` of the window's frames are decided."""
        return self.change[: self.window + decided - 1][-_REMEMBERED:].clone()

    def steps(self, past: int) -> dict[int, Tensor]:
        """What cross-fades change before each frame of the window from `past` on, log gain `[3]`."""
        found: dict[int, Tensor] = {}
        for fade in find_cross_fades(self.change):
            step = channels(fade.change) / fade.frames
            frames = (boundary + 1 - self.window for boundary in range(fade.start, fade.end))
            found |= {frame: step for frame in frames if frame >= max(past, 1)}
        return found

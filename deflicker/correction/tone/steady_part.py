"""The border between a part that flickers and one that does not: a screen in a room, half of a split screen.

Gains of cells are smooth, so they reach over a hard edge, and what they do beyond it is flicker of their own. Parts do
not move, so the edge is found over the whole window. With g the mean log gain of what flickers and d the tone steps
along motion, the share of g that a place asks for is

    α = −Σ w d Δg / Σ w Δg²,

1 where the place flickers with the rest, 0 where it does not. Parts are there where nearly every place asks for all or
for nothing, but for those on the border, and where the part that asks for nothing shows no flicker when looked at
alone. The border is then put where α, of pixels, crosses one half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.gain_field import solve_gains
from deflicker.correction.tone.observations import CLIPPED, Step
from deflicker.correction.tone.tone_options import GainOptions
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import CELL_PX, box_max, box_mean
from deflicker.motion.warp import sample, target_grid

_LAGS = (1, 2, -1, -2)
_ALL = (0.7, 1.3)
"""Shares that count as all of the course …"""
_NOTHING = 0.3
"""… and, up to here on both sides of 0, as nothing of it."""
_CLEAR = 0.92
"""Part of the places off the border that must ask for all or nothing. Regions that pump each on its own leave 0.75."""
_LEAST = 0.08
"""Part of the picture that each of the two must have."""
_STRONG = 0.02
"""Root mean square step of the course from which parts are told apart: with less, α is too uncertain."""
_ROUNDS = 2
_FRAMES = 12
"""Frames that a window must have: with fewer, what moves through a place is taken for its share."""
_SEEN = 0.05
"""Σ w Δg² of a place, in units of the mean, from which it says anything."""
_PIXELS = 2
"""Radius over which α of pixels is smoothed."""
_SPECK_PX = 3
"""Radius over which the majority decides, so that no speck is a part."""
_MORE_LEFT = 0.01
"""Part of the flicker that may come back for the steady part's sake: 0.0001 where the parts are right, 0.02 where a
thing that moves was taken for one."""
_EPS = 0.01


def find_part(
    frames: Tensor,
    matches: Mapping[int, Match],
    steps: Mapping[int, Step],
    found: Tensor,
    *,
    fixed: Tensor,
    options: GainOptions,
) -> Tensor | None:
    """The gains `[T, 3, H, W]` of a part that flickers beside a steady one, log gains of pixels, exactly 0 beyond; None
    where there are no such parts.

    frames: `[T, 3, H, W]` R'G'B'; steps: observed along matches; found: `[T, 3, h, w]`, the gains without parts, which
    stay where the picture is steadier with them; fixed: `[n, 3, h, w]`, the decided gains of the first n frames.
    """
    part = flickering_part(frames, matches, steps, found, options)
    if part is None:
        return None
    inner = 1 - box_max(1 - part, CELL_PX // 2)
    tone, _ = solve_gains(_seen(frames), matches_within(matches, inner), fixed=fixed, options=options)
    size = frames.shape[-2], frames.shape[-1]
    log_gain = upsample_cells(tone, size) * part
    raw, smooth = _flicker(frames, matches), _flicker(apply_gain(frames, upsample_cells(found, size)), matches)
    left = _flicker(apply_gain(frames, log_gain), matches)
    return log_gain if left - smooth < _MORE_LEFT * (raw - smooth) else None


def flickering_part(
    frames: Tensor, matches: Mapping[int, Match], steps: Mapping[int, Step], tone: Tensor, options: GainOptions
) -> Tensor | None:
    """The part that flickers, `[1, 1, H, W]` of 0 and 1, where the rest is steady; None where there are no such parts.

    frames: `[T, 3, H, W]` R'G'B'; steps: observed along matches; tone: `[T, 3, h, w]`, the gains found without parts.
    """
    if len(frames) < _FRAMES or not all(lag in steps for lag in _LAGS):
        return None
    course, share = _course(steps, tone.mean(1))
    flickers = share > 0.5
    border = (box_max(flickers.float(), 1) > 0) & (box_max((~flickers).float(), 1) > 0)
    clear = ((share > _ALL[0]) & (share < _ALL[1])) | (share.abs() < _NOTHING)
    inside, beyond = flickers & ~border, ~flickers & ~border
    parted = (
        (course.diff().square().mean().sqrt() >= _STRONG)
        & (inside.float().mean() >= _LEAST)
        & (beyond.float().mean() >= _LEAST)
        & ((clear & ~border).sum() >= _CLEAR * (~border).sum())
    )
    if not bool(parted):
        return None
    rest = _pixels(beyond)
    quiet, _ = solve_gains(_seen(frames), matches_within(matches, rest), options=replace(options, iterations=(10,)))
    if bool(quiet.any()):
        return None
    exact = _share_of_pixels(frames, matches, course) > 0.5
    part = torch.where(_pixels(border) > 0, exact.float(), _pixels(flickers))
    return (box_mean(part, _SPECK_PX) > 0.5).float()


def matches_within(matches: Mapping[int, Match], part: Tensor) -> dict[int, Match]:
    """The matches that begin and end in a part `[1, 1, H, W]`."""
    within = {}
    for offset, match in matches.items():
        there = sample(part.expand(len(match.flow_px), -1, -1, -1), target_grid(match.flow_px))
        within[offset] = replace(match, visible=match.visible * part * (there > 0.99))
    return within


def _seen(frames: Tensor) -> Tensor:
    """What was clipped must not pass for a grey that was seen."""
    return torch.where(frames < CLIPPED, frames, 1.0)


def _course(steps: Mapping[int, Step], tone: Tensor) -> tuple[Tensor, Tensor]:
    """(g `[T]`, α `[1, 1, h, w]`) of cells; g is 0 where nothing follows it. tone: `[T, h, w]`."""
    energy = tone.diff(dim=0).square().mean(0)
    course = (tone * energy).sum((1, 2)) / energy.sum().clamp_min(1e-12)
    for _ in range(_ROUNDS):
        flickers = (_share(steps, course)[0, 0] > 0.5).float()
        course = (tone * flickers).sum((1, 2)) / flickers.sum().clamp_min(1)
    return course, _share(steps, course)


def _share(steps: Mapping[int, Step], course: Tensor) -> Tensor:
    """α of cells with those around them, `[1, 1, h, w]`; one half, which is neither, where hardly any is seen."""
    product, energy = torch.zeros((), device=course.device), torch.zeros((), device=course.device)
    for lag in _LAGS:
        step = steps[lag]
        rise = _rise(course, step.start, len(step.log_ratio), lag)
        product = product - (step.weight * step.log_ratio * rise).sum((0, 1), keepdim=True)
        energy = energy + (step.weight * rise.square()).sum((0, 1), keepdim=True)
    product, energy = box_mean(product, 1), box_mean(energy, 1)
    return torch.where(energy > _SEEN * energy.mean(), product / energy.clamp_min(1e-9), 0.5)


def _share_of_pixels(frames: Tensor, matches: Mapping[int, Match], course: Tensor) -> Tensor:
    """α of pixels, `[1, 1, H, W]`."""
    light = (box_mean(frames, 1).mean(1, keepdim=True) + _EPS).log()
    product, energy = torch.zeros_like(light[:1]), torch.zeros_like(light[:1])
    for lag in (1, -1):
        match = matches[lag]
        here = slice(match.start, match.start + len(match.flow_px))
        there = slice(here.start + lag, here.stop + lag)
        rise = _rise(course, match.start, len(match.flow_px), lag)
        step = sample(light[there], target_grid(match.flow_px)) - light[here]
        product -= (match.visible * step * rise).sum(0, keepdim=True)
        energy += (match.visible * rise.square()).sum(0, keepdim=True)
    return box_mean(product, _PIXELS) / box_mean(energy, _PIXELS).clamp_min(1e-9)


def _rise(course: Tensor, start: int, count: int, lag: int) -> Tensor:
    """Δg of the frames from `start` on, `[count, 1, 1, 1]`."""
    return (course[start + lag : start + lag + count] - course[start : start + count]).view(-1, 1, 1, 1)


def _pixels(cells: Tensor) -> Tensor:
    return F.interpolate(cells.float(), scale_factor=CELL_PX, mode="nearest")


def _flicker(frames: Tensor, matches: Mapping[int, Match]) -> float:
    """Σ d₊ d₋ along motion of a window `[T, 3, H, W]`: flicker adds to it, what the scene itself does takes from it."""
    light = box_mean(frames.clamp(0, 1), _PIXELS)
    ahead, behind = matches[1], matches[-1]
    here = light[1:-1]
    later = sample(light[2:], target_grid(ahead.flow_px[1:])) - here
    earlier = sample(light[:-2], target_grid(behind.flow_px[:-1])) - here
    return float((ahead.visible[1:] * behind.visible[:-1] * later * earlier).sum())

"""Seams: the steps of tone and colour where a generator joined two chunks of frames.

A seam differs from flicker, fades and flashes in one thing: it stays. Around each boundary between two frames a step
and a slope are fitted to everything observed there; a seam is a boundary where the step alone explains nearly all of
the tone's change. What was found is taken off the frames after it as a whole step, so it never becomes a ramp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.apply import relight, spread
from deflicker.correction.gate import flicker_scale
from deflicker.correction.least_squares import likeness
from deflicker.correction.observe import Step, observe
from deflicker.correction.pyramid import Pyramid
from deflicker.correction.trend import trend_path, without_trend
from deflicker.motion.matches import Match
from deflicker.motion.warp import sample, target_grid

_SIDE_FRAMES = 6
"""Frames on either side of a boundary that are asked; so chunks of at least this length can be told apart."""
_LEAST_SIDE = 3
"""Frames a step must have on both sides for it to be seen to stay."""
_REGIONS = 5
"""Side of the grid of regions on which steps are judged."""
_EXPLAINED = 0.6
"""Part of the tone's change a step must explain. Seams reach 0.6 to 1; clean clips stay below 0.45 wherever the step
is more than rounding."""
_EXPECTED = 0.4
"""The same where the shot's period asks for a seam."""
_CLEAR = 4.5
"""How many standard deviations of the flicker a step must measure: chance makes steps of one, hardly ever of four."""
_SMALLEST = 0.01
"""Root mean square log gain below which a step is not worth touching: one code value in mid-grey."""
_LARGEST = 0.5
"""Log gain of a region from which a single step is light, not a seam: a lamp that is switched on stays on."""
_SEEN = 0.5
"""Part of the picture that must be matched across a boundary. On water, less is, and no step can be trusted."""
_LEVEL_FRAMES = 32
"""The level a shot is brought to is the mean of its chunks' over this many first frames."""
_LEAK_FRAMES = 240
"""The correction leaks away with this time constant, so that errors do not add up for ever: 10 s at 24 frames a second,
and too slow to be seen."""
_ROUNDS = 2
"""Reweighting rounds against wrong matches."""
_GONE = 0.0005
"""Log gain below which a leaking correction is dropped."""


@dataclass(frozen=True, eq=False)
class SeamMemory:
    """What a shot's next window must know of its seams."""

    log_gain: Tensor
    """`[H, 3, h, w]`: what the kept frames were given."""
    pictures: int = 0
    """Pictures decided since the shot began."""
    found: tuple[int, ...] = ()
    """Pictures of the shot that a seam lies before."""


@dataclass(frozen=True, eq=False)
class Seams:
    """The seams of a window, and the log gain that takes them off."""

    log_gain: Tensor
    """`[T, 3, h, w]`; exactly 0 where the shot has had no seam."""
    before: tuple[int, ...]
    """Frames of the window that a seam lies before, decided ones left out."""
    _memory: SeamMemory

    @classmethod
    def none(cls, frames: int, memory: SeamMemory) -> Seams:
        """No correction of any seam."""
        return cls(memory.log_gain.new_zeros(frames, *memory.log_gain.shape[1:]), (), memory)

    def memory(self, kept: slice, new: int) -> SeamMemory:
        """For the next window: `kept` frames stay as history, `new` pictures were decided."""
        start = self._memory.pictures - len(self._memory.log_gain)
        decided = [start + frame for frame in self.before if frame < kept.stop]
        return SeamMemory(
            self.log_gain[kept], self._memory.pictures + new, (*self._memory.found, *decided)[-_REMEMBERED:]
        )


_REMEMBERED = 8
"""Seams from which the period is read."""


def find_seams(proxies: Tensor, matches: Mapping[int, Match], steps: Mapping[int, Step], memory: SeamMemory) -> Seams:
    """Seams of a window of proxies `[T, 3, H, W]` whose first `len(memory.log_gain)` are decided.

    matches: at ±1 and further lags; steps: what was observed along them.
    """
    known, frames = memory.log_gain, len(proxies)
    past = len(known)
    path = torch.cat([known, known.new_zeros(frames - past, *known.shape[1:])])
    if 2 not in steps:
        return Seams(_carried(path, past, {}), (), memory)
    steps = {offset: _without_outliers(step) for offset, step in steps.items()}
    evidence = weigh_boundaries(steps, matches, frames)
    first = memory.pictures - past
    expected = [frame - 1 - first for frame in expected_seams(memory.found, memory.pictures, frames)]
    boundaries = _pick(evidence, max(past - 1, 0), expected)
    jumps = {b + 1: jump_field(steps, evidence, b, boundaries) for b in boundaries}
    if jumps:
        flicker = _flicker(steps, frames, jumps)
        jumps = {frame: jump for frame, jump in jumps.items() if evidence.size[frame - 1] >= _CLEAR * flicker}
    if jumps:
        jumps = _looked_again(proxies, matches, jumps)
    path = _carried(path, past, jumps)
    if past == 0 and jumps:
        path = path - path[:_LEVEL_FRAMES].mean(0, keepdim=True)
    return Seams(path, tuple(jumps), memory)


def _looked_again(proxies: Tensor, matches: Mapping[int, Match], jumps: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The jumps with what is still there once they are taken off: dark cells show less of a gain than all of it."""
    path = torch.zeros(len(proxies), *next(iter(jumps.values())).shape, device=proxies.device)
    for frame, jump in jumps.items():
        path[frame:] -= jump
    level = relight(proxies, spread(path - path.mean(0), (proxies.shape[-2], proxies.shape[-1]))).clamp(0, 1)
    steps = {offset: _without_outliers(observe(level, match)) for offset, match in matches.items()}
    evidence = weigh_boundaries(steps, matches, len(proxies))
    boundaries = [frame - 1 for frame in jumps]
    return {frame: jump + jump_field(steps, evidence, frame - 1, boundaries) for frame, jump in jumps.items()}


def _carried(path: Tensor, past: int, jumps: Mapping[int, Tensor]) -> Tensor:
    """The path over the undecided frames: it stays, but for the jumps and the leak."""
    level = path[past - 1] if past else torch.zeros_like(path[0])
    levels = [*path[:past]]
    for frame in range(past, len(path)):
        level = level * (1 - 1 / _LEAK_FRAMES)
        level = level * (level.abs().max() > _GONE)
        if frame in jumps:
            level = level - jumps[frame]
        levels.append(level)
    return torch.stack(levels)


def _without_outliers(step: Step) -> Step:
    """Less weight for cells that disagree with those around them: wrong matches, and things with light of their own."""
    for _ in range(_ROUNDS):
        step = replace(step, weight=step.weight * likeness(step.log_ratio, step.weight))
    return step


# --- Which boundaries -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a step and a slope, fitted around each boundary between frames b and b + 1, say about it."""

    explained: Tensor
    """`[T-1]` in [0, 1]: part of the tone's change beyond the slope that the step explains."""
    size: Tensor
    """`[T-1]`: root mean square step over regions, log gain."""
    peak: Tensor
    """`[T-1]`: largest step of a region."""
    seen: Tensor
    """`[T-1]`: part of the picture matched across the boundary."""
    slope: Tensor
    """`[T-1, 3, r, r]`: log gain a frame, over regions."""


def weigh_boundaries(steps: Mapping[int, Step], matches: Mapping[int, Match], frames: int) -> Evidence:
    """Weighted least squares of d = s k + J [the match straddles b] around every boundary b, region by region.

    A fade is all s; flicker straddles some boundaries as much as others and leaves a residual; a flash is in few of the
    matches that straddle a boundary. Only a step that stays is in all of them and in none of the rest.
    """
    value, weight, start, lag = _region_steps(steps)
    regions = value.shape[1:]
    value, weight = value.flatten(1), weight.flatten(1)
    at = torch.arange(frames - 1, device=value.device)[:, None]
    near = ((start > at - _SIDE_FRAMES) & (start + lag <= at + _SIDE_FRAMES)).to(value.dtype)
    across = near * ((start <= at) & (start + lag > at))
    lags = lag.to(value.dtype)

    kk, ks, ss = (near * lags**2) @ weight, (across * lags) @ weight, across @ weight
    kv, sv, vv = (near * lags) @ (weight * value), across @ (weight * value), near @ (weight * value**2)
    kk = kk.clamp_min(1e-6)
    certainty = (ss - ks**2 / kk).clamp_min(1e-6)
    step = (sv - ks * kv / kk) / certainty
    unexplained = (vv - kv**2 / kk).sum(1).clamp_min(1e-9)
    seen = torch.minimum(matches[1].visible.mean((1, 2, 3)), matches[-1].visible.mean((1, 2, 3)))
    return Evidence(
        explained=(step**2 * certainty).sum(1) / unexplained,
        size=((step**2 * ss).sum(1) / ss.sum(1).clamp_min(1e-6)).sqrt(),
        peak=(step * (ss > 0.1)).abs().amax(1),
        seen=seen,
        slope=((kv - ks * step) / kk).view(-1, *regions),
    )


def _region_steps(steps: Mapping[int, Step]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(value, weight) `[rows, 3, r, r]` of the steps from frame `start` to `start + lag`, both ways together."""
    values, weights, starts, lags = [], [], [], []
    for lag in (offset for offset in steps if offset > 0):
        ahead, behind = steps[lag], steps[-lag]
        height, width = ahead.log_ratio.shape[-2:]
        size = min(height, _REGIONS), min(width, _REGIONS)
        mass = F.adaptive_avg_pool2d(ahead.weight + behind.weight, size)
        total = F.adaptive_avg_pool2d(ahead.weight * ahead.log_ratio - behind.weight * behind.log_ratio, size)
        values.append(total / mass.clamp_min(1e-6))
        weights.append(mass / 2)
        starts.append(torch.arange(len(mass), device=mass.device))
        lags.append(torch.full((len(mass),), lag, device=mass.device))
    return torch.cat(values), torch.cat(weights), torch.cat(starts), torch.cat(lags)


def _pick(evidence: Evidence, first: int, expected: Sequence[int]) -> list[int]:
    """The boundaries from `first` on that are seams, in order."""
    count = len(evidence.explained)
    asked = torch.full_like(evidence.explained, _EXPLAINED)
    largest = torch.full_like(evidence.explained, _LARGEST)
    for boundary in (b for b in expected if 0 <= b < count):
        asked[boundary], largest[boundary] = _EXPECTED, float("inf")
    around = F.max_pool1d(evidence.explained[None, None], 2 * _LEAST_SIDE + 1, 1, _LEAST_SIDE)[0, 0]
    seam = (
        (evidence.explained >= asked)
        & (evidence.explained >= around)
        & (evidence.size >= _SMALLEST)
        & (evidence.peak <= largest)
        & (evidence.seen >= _SEEN)
    )
    inner = range(max(first, _LEAST_SIDE - 1), count - _LEAST_SIDE + 1)
    found = seam.tolist()
    return [b for b in inner if found[b]]


def expected_seams(found: Sequence[int], decided: int, frames: int) -> list[int]:
    """Pictures of a shot that its period asks for a seam before, among the `frames` following `decided`.

    found: where seams were. The period is the shortest distance between two of them, where all others are multiples
    of it: three seams at least, or two and the beginning of the shot.
    """
    places = sorted({0, *found})
    gaps = [b - a for a, b in pairwise(places)]
    if gaps and any(gap % min(gaps) for gap in gaps):
        gaps = gaps[1:]  # the shot began within a chunk
    if len(gaps) < 2 or any(gap % min(gaps) for gap in gaps):
        return []
    return list(range(found[-1] + min(gaps), decided + frames, min(gaps)))


def _flicker(steps: Mapping[int, Step], frames: int, jumps: Mapping[int, Tensor]) -> Tensor:
    """Standard deviation of the window's tone flicker over all levels, log gain; 0 where the gate finds none."""
    height, width = steps[1].log_ratio.shape[-2:]
    pyramid = Pyramid(height, width, device=steps[1].log_ratio.device)
    path = steps[1].log_ratio.new_zeros(frames, 3, height, width)
    for frame, jump in jumps.items():
        path[frame:] += jump
    steps = {offset: without_trend(step, path) for offset, step in steps.items()}
    path = trend_path(steps, frames, pyramid)
    return flicker_scale({offset: without_trend(step, path) for offset, step in steps.items()}, pyramid).norm()


# --- How large --------------------------------------------------------------------------------------------------------


def jump_field(steps: Mapping[int, Step], evidence: Evidence, boundary: int, seams: Sequence[int]) -> Tensor:
    """Step of log tone over a seam, `[3, h, w]` on the cells of the frame after it.

    The mean of every match of the two frames at the boundary, kept level by level as far as it stands out from what
    the same mean gives at boundaries without a seam (Wiener), so that a step of the whole picture stays one.
    """
    height, width = steps[1].log_ratio.shape[-2:]
    pyramid = Pyramid(height, width, device=steps[1].log_ratio.device)
    others = [b for b in range(len(evidence.explained)) if all(abs(b - seam) > _QUIET_FRAMES for seam in seams)]
    others = sorted(others, key=lambda b: abs(b - boundary))[:_QUIET_BOUNDARIES]
    bands, masses = _split(pyramid, _mean_step(steps, boundary, evidence.slope[boundary]))
    share = torch.ones(len(bands), device=bands[0].device)
    if len(others) > 1:
        quiet = [_split(pyramid, _mean_step(steps, b)) for b in others]
        share = torch.stack(
            [
                _signal_share(bands[level], masses[level], [q[level] for q, _ in quiet], [m[level] for _, m in quiet])
                for level in range(len(bands))
            ]
        )
    return pyramid.merge(
        [s * band * (mass / (mass + _FAINT)) for s, band, mass in zip(share, bands, masses, strict=True)]
    )


_QUIET_FRAMES = 3
_QUIET_BOUNDARIES = 6
"""Boundaries without a seam that tell the noise, the nearest ones, and how far they keep from a seam."""
_FAINT = 0.002
"""Weight of a cell at which half of what it says beyond its region is kept."""


def _split(pyramid: Pyramid, field: tuple[Tensor, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """(bands, their weights) of a weighted field."""
    bands = pyramid.split(*field)
    return [band for band, _ in bands], [mass for _, mass in bands]


def _signal_share(band: Tensor, mass: Tensor, quiet: Sequence[Tensor], quiet_mass: Sequence[Tensor]) -> Tensor:
    """Wiener gain of a band, 1 − noise / energy in [0, 1]. The noise is how far the quiet ones lie from their mean."""
    values, masses = torch.stack(list(quiet)), torch.stack(list(quiet_mass))
    mean = (values * masses).sum(0) / masses.sum(0).clamp_min(1e-6)
    noise = ((values - mean) ** 2 * masses).sum() / masses.sum().clamp_min(1e-6) * len(quiet) / (len(quiet) - 1)
    energy = (band**2 * mass).sum() / mass.sum().clamp_min(1e-6)
    share: Tensor = (1 - noise / energy.clamp_min(1e-12)).clamp(0, 1)
    return share


def _mean_step(steps: Mapping[int, Step], boundary: int, slope: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(mean, mean weight) `[3, h, w]` of the steps over a boundary, on the cells of the frame after it.

    slope: `[3, r, r]` over regions, log gain a frame, which is taken off.
    """
    after = boundary + 1
    to_before = target_grid(steps[-1].flow_cells[boundary : boundary + 1])
    rise: Tensor | float = 0.0
    if slope is not None:
        rise = F.interpolate(slope[None], size=to_before.shape[1:3], mode="bilinear", align_corners=False)
    values, weights = [], []
    for lag in (offset for offset in steps if offset > 0):
        behind, ahead = steps[-lag], steps[lag]
        if after >= lag:
            values.append(-behind.log_ratio[after - lag][None] - lag * rise)
            weights.append(behind.weight[after - lag][None])
        if boundary < len(ahead.log_ratio):
            here = slice(boundary, boundary + 1)
            values.append(sample(ahead.log_ratio[here], to_before) - lag * rise)
            weights.append(sample(ahead.weight[here], to_before))
    value, weight = torch.cat(values), torch.cat(weights)
    return (value * weight).sum(0) / weight.sum(0).clamp_min(1e-6), weight.mean(0)

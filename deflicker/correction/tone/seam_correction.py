"""Seams: the steps of tone and colour where a generator joined two chunks of frames.

`seam_detection` finds them. Here they are measured and removed from the frames after them as whole steps, so that none
becomes a ramp. A seam is a property of the chunk, not of what it shows, so the correction stays in its place in the
picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.cross_fades import ShotCourse
from deflicker.correction.tone.exposure_steps import drift_since, exposure_steps
from deflicker.correction.tone.flicker_gate import flicker_scale
from deflicker.correction.tone.observations import Step, observe, without_outliers
from deflicker.correction.tone.pyramid import Pyramid
from deflicker.correction.tone.seam_detection import (
    LARGEST,
    StepFit,
    expected_seams,
    fit_steps,
    region_steps,
    select_opening,
    select_seams,
)
from deflicker.correction.tone.seam_path import LEAK_EXPOSED_FRAMES, LEAK_FRAMES, carried
from deflicker.correction.tone.settling import settling_gain
from deflicker.correction.tone.step_pairs import lasting, without_jumps
from deflicker.correction.tone.tone_course import tone_course
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.motion.correspondence import Match
from deflicker.motion.warp import sample, target_grid

_CLEAR = 6.0
"""Standard deviations of the flicker that a step must measure: chance makes steps of one, hardly ever of four …"""
_CLEAR_OF_STEPS = 4.75
"""… and how many times as large as the steps between neighbours it must be: of 400 clips whose flicker is one number a
frame, chance made a step that seemed to stay and measured 3.5 of them in three, and 4.75 in none."""
_LEVEL_FRAMES = 32
"""The level a shot is brought to is the mean of its chunks' over this many first frames."""


@stored
@dataclass(frozen=True, eq=False)
class SeamMemory:
    """What a shot's next window must know of its seams."""

    log_gain: Tensor
    """`[H, 3, h, w]`: what the kept frames were given."""
    pictures: int = 0
    """Pictures decided since the shot began."""
    found: tuple[int, ...] = ()
    """Pictures of the shot that a seam lies before."""
    drift: Tensor | None = None
    """`[3, r, r]` over regions: log tone that came since the last step, seam or not; None for 0."""
    exposed: bool = False
    """Whether that step answered a drift."""
    course: Tensor | None = None
    """`[n, 3, 1 + r r]` of `tone_course`, up to the last decided picture; None where it is not known."""

    @property
    def is_opening(self) -> bool:
        """Whether the shot had no step yet."""
        return not self.found and not self.exposed


@dataclass(frozen=True, eq=False)
class Seams:
    """The seams of a window, and the log gain that takes them off."""

    log_gain: Tensor
    """`[T, 3, h, w]`; exactly 0 where the shot has had no seam."""
    before: tuple[int, ...]
    """Frames of the window that a seam lies before, decided ones left out."""
    _memory: SeamMemory
    _change: Tensor | None = None
    """Of log tone over each boundary, `[T-1, 3, r, r]`; 0 at steps and where the memory knows it."""
    _exposure: tuple[int, ...] = ()
    """Frames that a step lies before which answered a drift."""
    _course: ShotCourse | None = None

    @classmethod
    def none(cls, frames: int, memory: SeamMemory) -> Seams:
        """No correction of any seam."""
        return cls(memory.log_gain.new_zeros(frames, *memory.log_gain.shape[1:]), (), memory)

    def memory(self, kept: slice, new: int) -> SeamMemory:
        """For the next window: `kept` frames stay as history, `new` pictures were decided."""
        start = self._memory.pictures - len(self._memory.log_gain)
        decided = [frame for frame in self.before if frame < kept.stop]
        answered = [frame for frame in self._exposure if frame < kept.stop]
        found = (*self._memory.found, *(start + frame for frame in decided))[-_REMEMBERED:]
        drift, exposed = self._memory.drift, self._memory.exposed
        if self._change is not None:
            drift = torch.zeros_like(self._change[0]) if drift is None else drift
            drift = drift_since(self._change, [*decided, *answered], kept.stop - 1, drift)
            exposed = max(answered, default=0) > max(decided, default=0) or (exposed and not decided)
        course = self._course.kept(kept.stop) if self._course else None
        return SeamMemory(self.log_gain[kept], self._memory.pictures + new, found, drift, exposed, course)


_REMEMBERED = 8
"""Seams from which the period is read."""


def find_seams(
    proxies: Tensor,
    matches: Mapping[int, Match],
    steps: Mapping[int, Step],
    memory: SeamMemory,
    *,
    gaps: Sequence[int] = (),
) -> Seams:
    """Seams of a window of proxies `[T, 3, H, W]` whose first `len(memory.log_gain)` are decided.

    matches: at ±1 and further lags; steps: what was observed along them; gaps: frames that no seam is seen before.
    """
    known, frames = memory.log_gain, len(proxies)
    past = len(known)
    leak = LEAK_EXPOSED_FRAMES if memory.exposed else LEAK_FRAMES
    path = path_before = carried(known, frames, {}, leak)
    if 2 not in steps:
        return Seams(path, (), memory)
    change = region_steps({1: steps[1], -1: steps[-1]})[0]  # of the input, whatever is taken off
    change[: max(past - 1, 0)] = 0
    observed = {offset: without_trend(step, -path) for offset, step in steps.items()}
    steps = {offset: without_outliers(step) for offset, step in observed.items()}
    # A lamp's pool of light is an outlier beside the rest of the picture: its peak is looked for in observed.
    fit = replace(fit_steps(steps, matches, frames), peak=fit_steps(observed, matches, frames).peak)
    first = memory.pictures - past
    expected = [frame - 1 - first for frame in expected_seams(memory.found, memory.pictures, frames)]
    boundaries = [b for b in select_seams(fit, max(past - 1, 0), expected) if b + 1 not in gaps]
    for boundary in boundaries:
        change[boundary] = 0  # a step is no drift
    drift = torch.zeros_like(change[0]) if memory.drift is None else memory.drift
    exposure = exposure_steps(fit, boundaries, change, drift, opening=memory.is_opening)
    boundaries = [b for b in boundaries if b not in exposure]
    jumps = {b + 1: jump_field(steps, fit, b, boundaries) for b in boundaries}
    if jumps:
        smallest = _min_size(steps, matches, frames, jumps)
        jumps = {
            frame: jump
            for frame, jump in jumps.items()
            if fit.size[frame - 1] >= smallest and (fit.peak[frame - 1] <= LARGEST or frame - 1 in expected)
        }
        jumps = lasting(steps, matches, fit, jumps)
    opening = opening_jump(steps, fit, boundaries) if memory.pictures == 0 else {}
    if jumps or opening:
        seen = _observed_again(proxies, matches, known, jumps | opening)
        jumps, opening = ({frame: seen[frame] for frame in each} for each in (jumps, opening))
        path = carried(known, frames, jumps, leak)
        if past == 0:
            path = carried(known, frames, jumps, leak, start=-path[:_LEVEL_FRAMES].mean(0))
    for frame, jump in opening.items():
        path[:frame] += jump
    course = ShotCourse.extended(memory.course, None if gaps else tone_course(steps, fit.visible, path_before), past)
    if course and not (jumps or opening or memory.found or memory.exposed):
        fades = {frame: step.to(known).view(3, 1, 1) for frame, step in course.steps(past).items()}
        path = carried(known, frames, fades, leak) if fades else path
    if memory.pictures == 0 and not (jumps or opening or gaps):
        settling = settling_gain(proxies, matches, steps)
        path[: len(settling)] += settling
    return Seams(path, tuple(jumps), memory, change, tuple(b + 1 for b in exposure), course)


def opening_jump(steps: Mapping[int, Step], fit: StepFit, seams: Sequence[int]) -> dict[int, Tensor]:
    """The step after a shot's odd first frames, by the frame it lies before, where there is one."""
    boundary = select_opening(fit)
    return {} if boundary is None else {boundary + 1: jump_field(steps, fit, boundary, [boundary, *seams])}


def _observed_again(
    proxies: Tensor, matches: Mapping[int, Match], known: Tensor, jumps: Mapping[int, Tensor]
) -> dict[int, Tensor]:
    """The jumps with what is still there once they are taken off: dark cells show less of a gain than all of it."""
    path = carried(known, len(proxies), jumps, LEAK_FRAMES)
    level = apply_gain(proxies, upsample_cells(path - path.mean(0), (proxies.shape[-2], proxies.shape[-1]))).clamp(0, 1)
    steps = {offset: without_outliers(observe(level, match)) for offset, match in matches.items()}
    fit = fit_steps(steps, matches, len(proxies))
    boundaries = [frame - 1 for frame in jumps]
    return {frame: jump + jump_field(steps, fit, frame - 1, boundaries) for frame, jump in jumps.items()}


def _min_size(
    steps: Mapping[int, Step], matches: Mapping[int, Match], frames: int, jumps: Mapping[int, Tensor]
) -> Tensor:
    """Size a step must have not to be the window's tone flicker, which is measured with the jumps taken off.

    0 where the gate finds no flicker. Where it does, chance makes steps too, and the more so the fewer values of their
    own its regions have: both the gate's estimate and the size of the neighbours' steps are asked.
    """
    height, width = steps[1].log_ratio.shape[-2:]
    pyramid = Pyramid(height, width, device=steps[1].log_ratio.device)
    steps = without_jumps(steps, frames, jumps)
    course = trend_path(steps, frames, pyramid)
    flicker = flicker_scale({offset: without_trend(step, course) for offset, step in steps.items()}, pyramid).norm()

    value, weight, _, lag = region_steps(steps)
    near = lag == 1
    left = value[near] - fit_steps(steps, matches, frames).slope
    usual = ((left**2 * weight[near]).sum() / weight[near].sum().clamp_min(1e-6)).sqrt()
    size: Tensor = torch.where(flicker > 0, torch.maximum(_CLEAR * flicker, _CLEAR_OF_STEPS * usual), 0.0)
    return size


def jump_field(steps: Mapping[int, Step], fit: StepFit, boundary: int, seams: Sequence[int]) -> Tensor:
    """Step of log tone over a seam, `[3, h, w]` on the cells of the frame after it.

    The mean of every match of the two frames at the boundary, kept level by level as far as it stands out from what
    the same mean gives at boundaries without a seam (Wiener), so that a step of the whole picture stays one.
    """
    height, width = steps[1].log_ratio.shape[-2:]
    pyramid = Pyramid(height, width, device=steps[1].log_ratio.device)
    others = [b for b in range(len(fit.explained)) if all(abs(b - seam) > _QUIET_FRAMES for seam in seams)]
    others = sorted(others, key=lambda b: abs(b - boundary))[:_QUIET_BOUNDARIES]
    bands, masses = _split(pyramid, _mean_step(steps, boundary, fit.slope[boundary]))
    gain = torch.ones(len(bands), device=bands[0].device)
    if len(others) > 1:
        quiet = [_split(pyramid, _mean_step(steps, b)) for b in others]
        gain = torch.stack(
            [
                _wiener_gain(bands[level], masses[level], [q[level] for q, _ in quiet], [m[level] for _, m in quiet])
                for level in range(len(bands))
            ]
        )
    return pyramid.merge(
        [s * band * (mass / (mass + _FAINT)) for s, band, mass in zip(gain, bands, masses, strict=True)]
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


def _wiener_gain(band: Tensor, mass: Tensor, quiet: Sequence[Tensor], quiet_mass: Sequence[Tensor]) -> Tensor:
    """Wiener gain of a band, 1 − noise / energy in [0, 1]. The noise is how far the quiet ones lie from their mean."""
    values, masses = torch.stack(list(quiet)), torch.stack(list(quiet_mass))
    mean = (values * masses).sum(0) / masses.sum(0).clamp_min(1e-6)
    noise = ((values - mean) ** 2 * masses).sum() / masses.sum().clamp_min(1e-6) * len(quiet) / (len(quiet) - 1)
    energy = (band**2 * mass).sum() / mass.sum().clamp_min(1e-6)
    gain: Tensor = (1 - noise / energy.clamp_min(1e-12)).clamp(0, 1)
    return gain


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

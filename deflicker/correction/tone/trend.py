"""The trend of tone: fades, exposure ramps, clouds. The correction must leave it alone.

A trend is what remains of the tone steps when they are fitted over time: flicker changes sign from frame to frame and
averages out, a fade does not. The trend is subtracted from the observations before anything is estimated from them, so
neither the gate nor the losses see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import Pyramid

_REACH_FRAMES = 8
"""A slope is fitted over this many frames before and after."""
_SIDE_FRAMES = 7
"""A slope nearer to an end of the window than this has too few frames on one side: the next one's is taken."""
_ROUNDS = 3
"""Reweighting rounds of a fit."""
_FINEST_LEVEL = 2
"""Light changes over regions; below four cells, what looks like a slope is motion and shading, which the gate itself
tells from flicker."""
_FARTHEST = 4
"""Steps over more frames than this say little about a slope where it bends."""
_HALF_ENERGY = 32.0
"""Energy of a slope, in units of what flicker alone would give by chance, at which half of it counts as trend …"""
_HALF_ENERGY_WHOLE = 16.0
"""… and for the slope over the whole window, which little else than a trend makes."""


def trend_path(steps: Mapping[int, Step], frames: int, pyramid: Pyramid, scale: Tensor | None = None) -> Tensor:
    """The trend of log tone over a window, `[T, 3, h, w]`, starting at 0.

    The slope at each frame and cell is a line fitted over time (local linear regression) to the weighted
    least-squares slopes of the steps d_k, Σ w k d / Σ w k². scale: the flicker's standard deviation per level, by which
    slopes that flicker alone explains are shrunk to nothing; None for no shrinkage.
    """
    steps = {offset: step for offset, step in steps.items() if abs(offset) <= _FARTHEST}
    like = steps[1].log_ratio
    rise, run = like.new_zeros(frames, *like.shape[1:]), like.new_zeros(frames, *like.shape[1:])
    for offset, step in steps.items():
        rows = slice(step.start, step.start + len(step.log_ratio))
        rise[rows] += step.weight * offset * step.log_ratio
        run[rows] += step.weight * offset**2
    slopes = []
    for level, (band, weight) in enumerate(pyramid.split(rise / run.clamp_min(1e-6), run)):
        if level < _FINEST_LEVEL:
            slopes.append(torch.zeros_like(band))
            continue
        slope = _robust_line_fit(band, weight)
        if scale is not None:
            offsets, whole = tuple(steps), _whole_slope(band, weight)
            chance = scale[level] * _chance_slope(_line_fit, offsets, frames, like.device)
            confidence = _trend_confidence(slope, weight, chance, _HALF_ENERGY)
            chance = scale[level] * _chance_slope(_whole_slope, offsets, frames, like.device)
            course = _trend_confidence(whole, weight, chance, _HALF_ENERGY_WHOLE)
            slope = confidence * slope + (1 - confidence) * course * whole
            slope = slope[_best_supported(frames, like.device)]
        slopes.append(slope)
    slope = pyramid.merge(slopes)
    midway = (slope[1:] + slope[:-1]) / 2
    return torch.cat([torch.zeros_like(slope[:1]), midway.cumsum(0)])


def _best_supported(frames: int, device: torch.device) -> Tensor:
    """For each frame the nearest one whose slope has enough frames on both sides, `[T]`."""
    side = min(_SIDE_FRAMES, (frames - 1) // 2)
    return torch.arange(frames, device=device).clamp(side, frames - 1 - side)


def _robust_line_fit(values: Tensor, weight: Tensor) -> Tensor:
    """`_line_fit` with Cauchy weights: a step of tone is one outlier among its neighbours, not a slope over all."""
    fit = values.median(0, keepdim=True).values
    for _ in range(_ROUNDS):
        deviation = (values - fit).abs()
        usual = deviation.median(0, keepdim=True).values + 1e-6
        fit = _line_fit(values, weight / (1 + (deviation / (2 * usual)).square()))
    return fit


def _line_fit(values: Tensor, weight: Tensor) -> Tensor:
    """Local linear regression over time, `[T, ...]`: at each frame, the line through its neighbours, at that frame."""
    frames = len(values)
    time = torch.arange(frames, device=values.device, dtype=values.dtype)
    lag = time[None, :] - time[:, None]
    kernel = (1 - lag.abs() / (_REACH_FRAMES + 1)).clamp_min(0)

    def moment(power: int, of: Tensor) -> Tensor:
        return torch.einsum("ts,s...->t...", kernel * lag**power, of)

    mass, first, second = moment(0, weight), moment(1, weight), moment(2, weight)
    value, tilt = moment(0, weight * values), moment(1, weight * values)
    second = second + _REACH_FRAMES * mass
    return (second * value - first * tilt) / (second * mass - first.square()).clamp_min(1e-9)


def _whole_slope(values: Tensor, weight: Tensor) -> Tensor:
    """Slope of the line through the whole window's tone, `[T, ...]`, the same at each frame.

    Least squares on what slopes add up to is their mean under a parabola.
    """
    frames = len(values)
    time = torch.arange(1, frames + 1, device=values.device, dtype=values.dtype)
    mass = torch.einsum("t,t...->t...", time * (frames + 1 - time), weight)
    found = (mass * values).sum(0, keepdim=True) / mass.sum(0, keepdim=True).clamp_min(1e-9)
    return found.expand_as(values)


def _trend_confidence(slope: Tensor, weight: Tensor, chance: Tensor, half: float) -> Tensor:
    """How much of a slope is trend, 0 … 1, `[T, 1, 1, 1]`, from its energy beside chance's `[T]`.

    half: energy in units of chance's at which half of it counts.
    """
    energy = (slope.square() * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-6)
    excess = (energy / chance.square().clamp_min(1e-12) / half) ** 4
    return (excess / (1 + excess)).view(-1, 1, 1, 1)


def _chance_slope(
    fit: Callable[[Tensor, Tensor], Tensor], offsets: tuple[int, ...], frames: int, device: torch.device
) -> Tensor:
    """Standard deviation per frame of the fitted slope of independent unit noise, `[T]`."""
    noise = torch.eye(frames, device=device)
    rise, run = torch.zeros_like(noise), torch.zeros_like(noise)
    for offset in offsets:
        rows = torch.arange(max(0, -offset), min(frames, frames - offset), device=device)
        rise[rows] += offset * (noise[rows + offset] - noise[rows])
        run[rows] += offset**2
    return fit(rise / run, run).square().sum(1).sqrt()


def without_trend(step: Step, path: Tensor) -> Step:
    """The step without what the trend accounts for: d − (S_{t+k} − S_t)."""
    here = path[step.start : step.start + len(step.log_ratio)]
    there = path[step.start + step.offset : step.start + step.offset + len(step.log_ratio)]
    return replace(step, log_ratio=torch.where(step.weight > 0, step.log_ratio - (there - here), 0.0))

"""Low-frequency flicker: the log-gain field of cells that makes tone smooth along motion, z = y · exp(c).

Minimises `losses.tone_energy` over a window: observe, gate, weigh, solve, look again (see docs/how-it-works.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.apply import relight, spread
from deflicker.correction.tone.flicker_gate import all_alike, all_change, flicker_of_places, flicker_scale
from deflicker.correction.tone.least_squares import (
    Latents,
    StepOperator,
    Weights,
    centring_pull,
    minimise,
    plain_weights,
    residual_variance,
    robust_weights,
)
from deflicker.correction.tone.observations import Step, observe
from deflicker.correction.tone.pyramid import Pyramid
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.correction.tone.uncertainty import level_noise
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import CELL_PX


@dataclass(frozen=True)
class ToneOptions:
    """The energy's constants and the solver's effort."""

    first_order_share: float = 1.0
    """β: weight of first differences beside second ones, divided by the lag."""
    fidelity_share: float = 0.3
    """κ: pull of the correction to zero, in units of the residual's variance …"""
    noise_share: float = 3.0
    """… and of the variance of the errors of a level's steps: the geometric mean of both …"""
    least_fidelity: float = 0.3
    """… but no less than this part of the first."""
    centring_share: float = 0.1
    """ρ: pull of the mean over a while to zero, in units of a step's weight; of how far places are apart, not of the
    whole picture, whose errors are small."""
    iterations: tuple[int, ...] = (12, 10, 10)
    """Conjugate gradient steps of each reweighting round; the third looks at the corrected frames again."""
    without: frozenset[str] = frozenset()
    """Ingredients to leave out, to see what they bring: `gate` (and with it `places`), `places`, `trend`,
    `first-order`, `second-order`, `robust`, `precision`, `agreement` (and with it `bounds`), `bounds`, `centring`;
    others are not known here."""


_INVISIBLE = 0.002
"""Log gain that changes no 8-bit sample by more than half a level: a window that needs no more is left alone."""


def solve_tone(
    frames: Tensor,
    matches: Mapping[int, Match],
    *,
    fixed: Tensor | None = None,
    options: ToneOptions = ToneOptions(),
    steps: Mapping[int, Step] | None = None,
) -> Tensor:
    """Log gain of cells `[T, 3, H / 8, W / 8]` of a window of proxies `[T, 3, H, W]`; exactly 0 where nothing flickers.

    matches: from `build_matches`; empty for a single frame. fixed: `[n, 3, h, w]`, the correction of the first n
    frames, already decided. steps: what `observe` finds along the matches, where that is known.
    """
    height, width = frames.shape[-2] // CELL_PX, frames.shape[-1] // CELL_PX
    known = torch.zeros(len(frames), 3, height, width, device=frames.device)
    free = torch.ones(len(frames), device=frames.device)
    if fixed is not None:
        known[: len(fixed)], free[: len(fixed)] = fixed, 0
    if 2 not in matches:
        return known
    pyramid = Pyramid(height, width, device=frames.device)
    steps = steps or {offset: observe(frames, match) for offset, match in matches.items()}
    scale, path = _flicker_and_trend(steps, len(frames), pyramid, options.without)
    steps = {offset: without_trend(step, path) for offset, step in steps.items()}
    latents = Latents(pyramid, scale, free)
    if not latents.levels:
        return known
    share = 0.0 if "centring" in options.without else options.centring_share
    centring = centring_pull(len(frames), share, apart=True, device=frames.device)
    solution = latents.zeros(len(frames), known)
    gain = known
    for round_, iterations in enumerate(options.iterations):
        if round_ == 2:
            seen = _looked_again(frames, matches, gain, options.without)
            steps = {offset: without_trend(step, path) for offset, step in seen.items()}
        if round_ != 1:
            operator = StepOperator(steps, (len(frames), height, width))
            noise = level_noise(steps, pyramid)[latents.levels]
        residual = operator.apply(gain) + operator.offset
        weights = _weights(operator, residual, options.without)
        variance = residual_variance(operator, weights, residual).clamp_min(1e-6)
        if round_ == 0:
            variance = torch.full_like(variance, 1e-4)
        solution = minimise(
            operator,
            weights,
            latents,
            solution,
            known,
            share=0.0 if "first-order" in options.without else options.first_order_share,
            fidelity=_fidelity(variance, noise, options),
            iterations=iterations,
            centring=centring,
        )
        gain = known + latents.expand(solution)
    if float((gain - known).abs().max()) < _INVISIBLE:
        return known
    return gain


def _fidelity(variance: Tensor, noise: Tensor, options: ToneOptions) -> list[Tensor]:
    """κ σ² of each level.

    variance: of the residual, which at cells is mostly texture and wrong matches and averages out on coarser levels;
    noise: `[levels]`, of the steps' errors, which leave out what the scene itself does. The truth lies between the two,
    near their geometric mean.
    """
    pull = options.fidelity_share * variance
    if "precision" in options.without:
        return [pull] * len(noise)
    return list((pull * options.noise_share * noise).sqrt().clamp_min(options.least_fidelity * pull))


def _looked_again(frames: Tensor, matches: Mapping[int, Match], gain: Tensor, without: Set[str]) -> dict[int, Step]:
    """The steps once there is an estimate: matches it contradicts count less, cut off samples it contradicts count."""
    aligned = None
    if "agreement" not in without:
        aligned = relight(frames, spread(gain, (frames.shape[-2], frames.shape[-1]))).clamp(0, 1)
    bounds = "bounds" not in without
    return {offset: observe(frames, match, aligned=aligned, bounds=bounds) for offset, match in matches.items()}


def _flicker_and_trend(
    steps: Mapping[int, Step], frames: int, pyramid: Pyramid, without: Set[str]
) -> tuple[list[Tensor], Tensor]:
    """What of the tone's change is flicker, for each level and place, and what is its own course, `[T, 3, h, w]`.

    The first is measured with every slope taken off, the second is then kept only where flicker does not explain it.
    """
    path = trend_path(steps, frames, pyramid)
    if "trend" in without:
        path = torch.zeros_like(path)
    level = {offset: without_trend(step, path) for offset, step in steps.items()}
    scale = all_change(level, pyramid) if "gate" in without else flicker_scale(level, pyramid)
    path = path if "trend" in without else trend_path(steps, frames, pyramid, scale)
    if "gate" in without:
        return list(scale), path
    return all_alike(scale, pyramid) if "places" in without else flicker_of_places(level, pyramid, scale), path


def _weights(operator: StepOperator, residual: Tensor, without: Set[str]) -> Weights:
    weights = plain_weights(operator) if "robust" in without else robust_weights(operator, residual)
    if "second-order" in without:
        return Weights(weights.first, [torch.zeros_like(each) for each in weights.second])
    return weights

"""Flicker of the tone curve: pumps of gain, gamma and blacks that the whole picture shares.

Minimises `losses.tone_energy` as `tone.solve_tone` does, with knots of level in the place of cells. What is left of a
pump then, and what is local, is the cells' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.curve import KNOTS, rising
from deflicker.correction.tone.flicker_gate import all_change, flicker_scale
from deflicker.correction.tone.least_squares import Latents, StepOperator, Weights, centring_pull, minimise
from deflicker.correction.tone.level_matching import Levels, compare, level_bins, level_step
from deflicker.correction.tone.pyramid import Pyramid
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.correction.tone.uncertainty import step_noise
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import ramp

_SMALLEST = (0.003, 0.003, 0.004, 0.004, 0.012)
"""Standard deviations of flicker below which the orders of a curve are left alone, finest first. The levels of clean
pictures shake by up to 0.003, as a whole by 0.009, as what is seen of them changes."""
_WELL_MATCHED = 0.002
"""Error of a step from one frame to the next up to which cells, which see places, take a plain gain out better."""
_BENT = (0.05, 0.15)
"""Part of a curve's flicker that bends it, from which its mean is pulled to zero, and is in full: pumps of gamma have
0.2 to 0.4, pumps of gain 0.03 at most."""
_FIRST_GUESS = 1e-4
"""Variance of a step before anything was solved."""
_PRECISE = 0.003
"""Error of a step from one frame to the next that does not matter."""


@dataclass(frozen=True)
class CurveOptions:
    """The energy's constants and the solver's effort."""

    first_order_share: float = 1.0
    """β: weight of first differences beside second ones."""
    fidelity_share: float = 0.02
    """κ: pull of the correction to zero, in units of the variance of the steps that are left …"""
    drift_share: float = 10.0
    """… and of the variance of the steps' errors, which add up over time."""
    centring_share: float = 0.1
    """ρ: pull of the mean over a while to zero, in units of a step's weight; of curves that bend, not of gains …"""
    centring_by_noise: float = 30000.0
    """… and how much more of it for each unit of the steps' error variance: what adds up to the drift it stops."""
    iterations: tuple[int, ...] = (12,) + (10,) * 11
    """Conjugate gradient steps of each Gauss-Newton round."""
    without: frozenset[str] = frozenset()
    """Ingredients to leave out, to see what they bring: `curve` (all of it), `gate`, `trend`, `first-order`,
    `second-order`, `centring`; others are not known here."""


def solve_curve(
    frames: Tensor,
    matches: Mapping[int, Match],
    *,
    fixed: Tensor | None = None,
    options: CurveOptions = CurveOptions(),
) -> Tensor:
    """Log gain at knots of level `[T, 3, KNOTS]` of a window of proxies `[T, 3, H, W]`; exactly 0 where none flickers.

    A plain gain is left to the cells where motion is known well.

    matches: from `build_matches`; empty for a single frame. fixed: `[n, 3, KNOTS]`, the curves of the first n frames,
    already decided.
    """
    count = len(frames)
    known = torch.zeros(count, 3, KNOTS, device=frames.device)
    free = torch.ones(count, device=frames.device)
    if fixed is not None:
        known[: len(fixed)], free[: len(fixed)] = fixed, 0
    if 2 not in matches or "curve" in options.without:
        return known
    bins = level_bins(frames)
    levels = {offset: compare(bins, match) for offset, match in matches.items()}
    pyramid = Pyramid(1, KNOTS, device=frames.device)
    scale, path = _flicker_and_trend(levels, count, pyramid, options.without)
    latents = Latents(pyramid, list(scale), free)
    if not latents.levels:
        return known
    fixed_cells = known[:, :, None]
    bends = 0.0 if "centring" in options.without else _bends(scale)
    solution, curve = latents.zeros(count, fixed_cells), fixed_cells
    for round_, iterations in enumerate(options.iterations):
        steps = {k: without_trend(level_step(each, curve[:, :, 0]), path) for k, each in levels.items()}
        operator = StepOperator(steps, (count, 1, KNOTS))
        noise = step_noise(steps)
        if latents.levels == [len(pyramid.sizes) - 1] and float(noise[1]) < _WELL_MATCHED**2:
            return known
        weights = _weights(operator, noise)
        if "second-order" in options.without:
            weights = Weights(weights.first, [torch.zeros_like(each) for each in weights.second])
        left = _left(operator, curve) if round_ else frames.new_tensor(_FIRST_GUESS)
        share = bends * (options.centring_share + options.centring_by_noise * noise[1])
        solution = minimise(
            operator,
            weights,
            latents,
            solution,
            fixed_cells,
            share=0.0 if "first-order" in options.without else options.first_order_share,
            fidelity=[options.fidelity_share * left + options.drift_share * noise[1]] * len(latents.levels),
            iterations=iterations,
            centring=centring_pull(count, share, device=frames.device),
        )
        curve = fixed_cells + latents.expand(solution)
    return torch.where(free.view(-1, 1, 1) > 0, rising(curve[:, :, 0]), known)


def _bends(scale: Tensor) -> Tensor:
    """0 where curves are gains, 1 where they bend, from the flicker's scale per level, the gain's last.

    A gain's errors are small, and do not add up to a drift as those of bends do.
    """
    part = (scale[:-1].square().sum() / scale.square().sum().clamp_min(1e-12)).sqrt()
    return ramp(part, _BENT)


def _flicker_and_trend(
    levels: Mapping[int, Levels], count: int, pyramid: Pyramid, without: Set[str]
) -> tuple[Tensor, Tensor]:
    """As `tone._flicker_and_trend`; flicker is what both halves of the picture share, so that no region's is it."""
    none = torch.zeros(count, 3, KNOTS, device=levels[1].here.device)
    whole = {k: level_step(each, none) for k, each in levels.items()}
    path = trend_path(whole, count, pyramid)
    if "trend" in without:
        path = torch.zeros_like(path)
    one, other = (
        {k: without_trend(level_step(levels[k], none, half), path) for k in levels if abs(k) <= 2}
        for half in (slice(0, 1), slice(1, 2))
    )
    scale = flicker_scale(one, pyramid, others=other, smallest=_SMALLEST)
    if "gate" in without:
        scale = all_change({k: without_trend(whole[k], path) for k in one}, pyramid)
    return scale, path if "trend" in without else trend_path(whole, count, pyramid, scale)


def _weights(operator: StepOperator, noise: Mapping[int, Tensor]) -> Weights:
    """The steps' weights, less for lags whose steps are less precise than those to the next frame."""
    trust = {lag: (_PRECISE**2 + noise[1]) / (_PRECISE**2 + each) for lag, each in noise.items()}
    first = operator.weight.clone()
    for offset, rows in operator.rows.items():
        first[rows] *= trust[abs(offset)]
    second = [
        operator.weight[ahead] * operator.weight[behind] * (trust[lag] / lag)
        for lag, ahead, behind in operator.both_ways()
    ]
    return Weights(first, second)


def _left(operator: StepOperator, curve: Tensor) -> Tensor:
    """Mean square of what is left of the steps to the next frame."""
    rows = operator.rows[1]
    weight = operator.weight[rows]
    residual = (operator.apply(curve) + operator.offset)[rows]
    return ((residual.square() * weight).sum() / weight.sum().clamp_min(1e-6)).clamp_min(1e-6)

"""Flicker of the tone curve: pumps of gain, gamma and blacks that the whole picture shares.

Minimises `losses.tone_energy` as `gain_field` does, with knots of level in place of cells. What then remains of a
pump, and what is local, is left to the cells.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.correction.curve import KNOTS, rising
from deflicker.correction.tone.flicker_gate import all_change, flicker_scale
from deflicker.correction.tone.level_matching import Levels, compare, level_bins, level_step
from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import MultiscaleUnknowns, Pyramid
from deflicker.correction.tone.step_operator import StepOperator
from deflicker.correction.tone.step_weights import StepWeights
from deflicker.correction.tone.tone_options import CurveOptions
from deflicker.correction.tone.tone_problem import Centring, Energy, Terms, ToneProblem, solve_rounds
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.correction.tone.uncertainty import step_noise
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import ramp

_SMALLEST = (0.003, 0.003, 0.004, 0.004, 0.012)
"""Standard deviations of flicker below which the orders of a curve are left alone, finest first. The levels of clean
pictures shake by up to 0.003, as a whole by 0.009, as what is seen of them changes."""
_WELL_MATCHED = 0.002
"""Error of a step from one frame to the next up to which cells, which see places, take a plain gain out better."""
_CURVED = (0.05, 0.15)
"""Part of a curve's flicker that bends it, from which its mean is pulled to zero, and is in full: pumps of gamma have
0.2 to 0.4, pumps of gain 0.03 at most."""
_FIRST_VARIANCE = 1e-4
"""Variance of a step before anything was solved."""
_PRECISE = 0.003
"""Error of a step from one frame to the next that does not matter."""


def solve_curve(
    frames: Tensor,
    matches: Mapping[int, Match],
    *,
    fixed: Tensor | None = None,
    options: CurveOptions = CurveOptions(),
) -> tuple[Tensor, Energy | None]:
    """Log gain at knots of level `[T, 3, KNOTS]` of a window of proxies `[T, 3, H, W]`; exactly 0 where none flickers.

    A plain gain is left to the cells where motion is known well.

    matches: from `build_matches`; empty for a single frame. fixed: `[n, 3, KNOTS]`, the decided curves of the first n
    frames. The energy is None where nothing was solved.
    """
    count = len(frames)
    known = torch.zeros(count, 3, KNOTS, device=frames.device)
    free = torch.ones(count, device=frames.device)
    if fixed is not None:
        known[: len(fixed)], free[: len(fixed)] = fixed, 0
    if 2 not in matches or not options.iterations:
        return known, None
    bins = level_bins(frames)
    levels = {offset: compare(bins, match) for offset, match in matches.items()}
    pyramid = Pyramid(1, KNOTS, device=frames.device)
    scale, path = _flicker_and_trend(levels, count, pyramid, options)
    unknowns = MultiscaleUnknowns(pyramid, list(scale), free)
    if not unknowns.levels:
        return known, None
    problem = ToneProblem(unknowns, known[:, :, None])
    if not solve_rounds(problem, _Curves(levels, path, _curvature(scale), options), options.iterations):
        return known, None
    curve = torch.where(free.view(-1, 1, 1) > 0, rising(problem.field[:, :, 0]), known)
    return curve, problem.energy()


class _Curves:
    """Observes and weighs the steps of curves; see `ToneModel`."""

    def __init__(self, levels: Mapping[int, Levels], path: Tensor, curvature: Tensor, options: CurveOptions) -> None:
        """path: the trend, `[T, 3, 1, KNOTS]`; curvature: from `_curvature`."""
        self._levels, self._path, self._curvature, self._options = levels, path, curvature, options
        self._noise: dict[int, Tensor] = {}

    def observe(self, round_: int, field: Tensor) -> Mapping[int, Step]:
        """The steps, linear around the curves so far: solving and observing again is Gauss-Newton."""
        steps = {k: without_trend(level_step(each, field[:, :, 0]), self._path) for k, each in self._levels.items()}
        self._noise = step_noise(steps)
        return steps

    def weigh(self, round_: int, problem: ToneProblem) -> Terms | None:
        """By the steps' precision. None where cells, which see places, remove what flickers better."""
        levels, noise, options = problem.unknowns.levels, self._noise, self._options
        if levels == [len(problem.unknowns.pyramid.sizes) - 1] and float(noise[1]) < _WELL_MATCHED**2:
            return None
        left = _left(problem) if round_ else problem.fixed.new_tensor(_FIRST_VARIANCE)
        fidelity = [options.fidelity * left + options.drift * noise[1]] * len(levels)
        weight = self._curvature * (options.centring + options.centring_by_noise * noise[1])
        centring = Centring(len(problem.fixed), weight, device=problem.fixed.device)
        weights = _weights(problem.operator, noise).scaled(options.second_order)
        return Terms(weights, options.first_order, fidelity, centring)


def _curvature(scale: Tensor) -> Tensor:
    """0 where curves are plain gains, 1 where they are curved, from the flicker's scale per level, the gain's last.

    A gain's errors are small, and do not add up to a drift as those of other curves do.
    """
    part = (scale[:-1].square().sum() / scale.square().sum().clamp_min(1e-12)).sqrt()
    return ramp(part, _CURVED)


def _flicker_and_trend(
    levels: Mapping[int, Levels], count: int, pyramid: Pyramid, options: CurveOptions
) -> tuple[Tensor, Tensor]:
    """As in `gain_field`; flicker is what both halves of the picture share, so that no region's is it."""
    none = torch.zeros(count, 3, KNOTS, device=levels[1].here.device)
    whole = {k: level_step(each, none) for k, each in levels.items()}
    path = trend_path(whole, count, pyramid)
    if not options.trend:
        path = torch.zeros_like(path)
    one, other = (
        {k: without_trend(level_step(levels[k], none, half), path) for k in levels if abs(k) <= 2}
        for half in (slice(0, 1), slice(1, 2))
    )
    scale = flicker_scale(one, pyramid, others=other, smallest=_SMALLEST)
    if not options.gate:
        scale = all_change({k: without_trend(whole[k], path) for k in one}, pyramid)
    return scale, trend_path(whole, count, pyramid, scale) if options.trend else path


def _weights(operator: StepOperator, noise: Mapping[int, Tensor]) -> StepWeights:
    """The steps' weights, less for lags whose steps are less precise than those to the next frame."""
    precision = {lag: (_PRECISE**2 + noise[1]) / (_PRECISE**2 + each) for lag, each in noise.items()}
    first = operator.weight.clone()
    for offset, rows in operator.rows.items():
        first[rows] *= precision[abs(offset)]
    second = [
        operator.weight[ahead] * operator.weight[behind] * (precision[lag] / lag)
        for lag, ahead, behind in operator.both_ways()
    ]
    return StepWeights(first, second)


def _left(problem: ToneProblem) -> Tensor:
    """Mean square of what is left of the steps to the next frame."""
    rows = problem.operator.rows[1]
    weight, residual = problem.operator.weight[rows], problem.residual()[rows]
    return ((residual.square() * weight).sum() / weight.sum().clamp_min(1e-6)).clamp_min(1e-6)

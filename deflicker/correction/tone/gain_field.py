"""Low-frequency flicker: the log-gain field of cells that makes tone smooth along motion, z = y · exp(c).

Minimises `losses.tone_energy` over a window: observe, gate, weigh, solve, observe again (see docs/algorithm.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.flicker_gate import all_alike, all_change, flicker_of_places, flicker_scale
from deflicker.correction.tone.observations import Step, observe
from deflicker.correction.tone.pyramid import MultiscaleUnknowns, Pyramid
from deflicker.correction.tone.step_weights import observed_weights, residual_variance, robust_weights
from deflicker.correction.tone.tone_options import GainOptions
from deflicker.correction.tone.tone_problem import Centring, Energy, Terms, ToneProblem, solve_rounds
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.correction.tone.uncertainty import level_noise
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import CELL_PX

_INVISIBLE = 0.002
"""Log gain that changes no 8-bit sample by more than half a level: a window that needs no more is left alone."""
_FIRST_VARIANCE = 1e-4
"""Of the residual, before anything was solved."""


def solve_gains(
    frames: Tensor,
    matches: Mapping[int, Match],
    *,
    fixed: Tensor | None = None,
    options: GainOptions = GainOptions(),
    steps: Mapping[int, Step] | None = None,
) -> tuple[Tensor, Energy | None]:
    """Log gain of cells `[T, 3, H / 8, W / 8]` of a window of proxies `[T, 3, H, W]`; exactly 0 where nothing flickers.

    matches: from `build_matches`; empty for a single frame. fixed: `[n, 3, h, w]`, the decided correction of the first
    n frames. steps: what `observe` finds along the matches, where that is known. The energy is None where nothing was
    solved.
    """
    height, width = frames.shape[-2] // CELL_PX, frames.shape[-1] // CELL_PX
    known = torch.zeros(len(frames), 3, height, width, device=frames.device)
    free = torch.ones(len(frames), device=frames.device)
    if fixed is not None:
        known[: len(fixed)], free[: len(fixed)] = fixed, 0
    if 2 not in matches:
        return known, None
    pyramid = Pyramid(height, width, device=frames.device)
    steps = steps or {offset: observe(frames, match) for offset, match in matches.items()}
    scale, path = _flicker_and_trend(steps, len(frames), pyramid, options)
    unknowns = MultiscaleUnknowns(pyramid, scale, free)
    if not unknowns.levels:
        return known, None
    problem = ToneProblem(unknowns, known)
    solve_rounds(problem, _Gains(frames, matches, steps, path, options), options.iterations)
    if float((problem.field - known).abs().max()) < _INVISIBLE:
        return known, None
    return problem.field, problem.energy()


class _Gains:
    """Observes and weighs the steps of cells; see `ToneModel`."""

    def __init__(
        self,
        frames: Tensor,
        matches: Mapping[int, Match],
        steps: Mapping[int, Step],
        path: Tensor,
        options: GainOptions,
    ) -> None:
        """steps: along the matches; path: the trend, `[T, 3, h, w]`."""
        self._frames, self._matches, self._options = frames, matches, options
        self._path = path
        self._steps = {offset: without_trend(step, path) for offset, step in steps.items()}
        self._centring = Centring(len(frames), options.centring, relative=True, device=frames.device)
        self._noise: Tensor | None = None

    def observe(self, round_: int, field: Tensor) -> Mapping[int, Step] | None:
        """The steps given, and from the third round on those that the corrected frames show."""
        if round_ == 1:
            return None
        if round_ == 2:
            self._steps = self._observed_again(field)
        self._noise = None
        return self._steps

    def weigh(self, round_: int, problem: ToneProblem) -> Terms:
        """Robust weights, and fidelity by the variance of what is left."""
        if self._noise is None:
            self._noise = level_noise(self._steps, problem.unknowns.pyramid)[problem.unknowns.levels]
        residual = problem.residual()
        robust = self._options.robust
        weights = robust_weights(problem.operator, residual) if robust else observed_weights(problem.operator)
        weights = weights.scaled(self._options.second_order)
        variance = residual_variance(problem.operator, weights, residual).clamp_min(1e-6)
        if round_ == 0:
            variance = torch.full_like(variance, _FIRST_VARIANCE)
        fidelity = _fidelity(variance, self._noise, self._options)
        return Terms(weights, self._options.first_order, fidelity, self._centring)

    def _observed_again(self, field: Tensor) -> dict[int, Step]:
        """Matches that the corrected frames contradict count less, clipped samples that they contradict count."""
        frames, aligned = self._frames, None
        if self._options.agreement:
            aligned = apply_gain(frames, upsample_cells(field, (frames.shape[-2], frames.shape[-1]))).clamp(0, 1)
        bounds = self._options.bounds
        found = {k: observe(frames, match, aligned=aligned, bounds=bounds) for k, match in self._matches.items()}
        return {offset: without_trend(step, self._path) for offset, step in found.items()}


def _fidelity(variance: Tensor, noise: Tensor, options: GainOptions) -> list[Tensor]:
    """κ σ² of each level.

    variance: of the residual, which at cells is mostly texture and wrong matches and averages out on coarser levels;
    noise: `[levels]`, of the steps' errors, which leave out what the scene itself does. The truth lies between the two,
    near their geometric mean.
    """
    of_residual = options.fidelity * variance
    if options.noise == 0:
        return [of_residual] * len(noise)
    return list((of_residual * options.noise * noise).sqrt().clamp_min(options.min_fidelity * of_residual))


def _flicker_and_trend(
    steps: Mapping[int, Step], frames: int, pyramid: Pyramid, options: GainOptions
) -> tuple[list[Tensor], Tensor]:
    """What of the tone's change is flicker, for each level and place, and what is its own course, `[T, 3, h, w]`.

    The first is measured with every slope removed, the second is then kept only where flicker does not explain it.
    """
    path = trend_path(steps, frames, pyramid)
    if not options.trend:
        path = torch.zeros_like(path)
    level = {offset: without_trend(step, path) for offset, step in steps.items()}
    scale = flicker_scale(level, pyramid) if options.gate else all_change(level, pyramid)
    if options.trend:
        path = trend_path(steps, frames, pyramid, scale)
    if not options.gate:
        return list(scale), path
    return flicker_of_places(level, pyramid, scale) if options.places else all_alike(scale, pyramid), path

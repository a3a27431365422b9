"""Flicker and steps of saturation, hue and colour matrix, which the whole picture shares.

Two matched frames are related by a matrix, there = M here, fitted to the means of their cells. What M does to grey is
left to gains and curves: with v = M 1, Θ of diag(1 / v) M (`correction.colour_mix`) is what colours became beyond that.
Mixes multiply, so their logarithms Λ go the way of all steps of tone: `losses.tone_energy` is minimised over Λ of each
frame, as far as the gate finds flicker, and a step that stays, as between the windows of a generator, is taken off as a
whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.colour_mix import from_grey, log_of_matrix, mix_of_log
from deflicker.correction.tone.flicker_gate import flicker_scale
from deflicker.correction.tone.observations import CLIPPED, Step
from deflicker.correction.tone.pyramid import MultiscaleUnknowns, Pyramid
from deflicker.correction.tone.seam_detection import LARGEST, fit_steps, select_opening, select_seams
from deflicker.correction.tone.step_weights import observed_weights
from deflicker.correction.tone.tone_problem import Centring, Terms, ToneProblem, solve_rounds
from deflicker.correction.tone.trend import trend_path, without_trend
from deflicker.media.color import BT709
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import CELL_PX, box_mean, cell_means, ramp
from deflicker.motion.warp import sample, target_grid

_FIDELITY = 0.02
"""κ, in units of the variance of a step before anything was solved."""
_FIRST_VARIANCE = 1e-4
_ITERATIONS = (12, 10)
_SMALLEST = 0.012
"""Standard deviation of flicker of Λ below which it is left alone: of a strong colour, two code values."""
_SMALLEST_STEP = 0.03
"""The same of a step that stays."""
_EXPLAINED = (0.16, 0.26)
"""Part of what gains leave between matched frames that Θ must explain, from which it counts, and does in full: clips
without flicker of colour stay below 0.06, regions that take on colours below 0.13."""
_STEP_EXPLAINED = 0.25
"""The same at one boundary, for a step that stays: steps of saturation have 0.3 to 0.9, at others, whatever flickers
beside them, nothing above 0.2 is seen."""
_PLACE_CELLS = 2
"""Radius, in cells, over which a place has gains of its own."""
_COLOURED = 0.02
"""Distance from grey, R'G'B', at which a cell tells half."""
_ROUNDS = 3
"""Reweighting rounds of a fit."""
_OF_LUMA = (0.5, 0.8)
"""What Λ does to luma, as a part of Λ, from which it counts, and does in full: a wrong matrix has 1, errors of what
only saturates have up to 0.5."""
_ONE_WAY = 0.7
"""Correlation of each step with the next from which they climb, and the shot keeps the colours of its first frames."""
_LEAK_FRAMES = 240
"""Time constant with which steps that were taken off come back."""
_MOST = 1.0
"""Largest Λ: no picture's saturation changes by more than a factor of e."""


@stored
@dataclass(frozen=True, eq=False)
class MixMemory:
    """What a shot's next window must know: Λ of the kept frames, `[H, 3, 2]` each."""

    level: Tensor
    """Against steps that stay."""
    flicker: Tensor
    """Against flicker."""

    @classmethod
    def empty(cls, like: Tensor) -> MixMemory:
        """Before a shot's first window."""
        return cls(like.new_zeros(0, 3, 2), like.new_zeros(0, 3, 2))


@dataclass(frozen=True, eq=False)
class Mixes:
    """Λ of a window."""

    level: Tensor
    flicker: Tensor
    is_zero: bool
    """Whether all of both is 0, known without another wait for the device."""

    @classmethod
    def of(cls, level: Tensor, flicker: Tensor) -> Mixes:
        """Of level and flicker."""
        return cls(level, flicker, not bool((level + flicker).any()))

    @classmethod
    def none(cls, frames: int, memory: MixMemory) -> Mixes:
        """No correction of any colour."""
        none = memory.level.new_zeros(frames, 3, 2)
        return cls(none, none, True)

    @property
    def total(self) -> Tensor:
        """Θ `[T, 3, 2]`; exactly 0 where colours neither flicker nor step."""
        both = self.level + self.flicker
        return mix_of_log(both * (_MOST / both.abs().amax((1, 2), keepdim=True).clamp_min(_MOST)))

    def memory(self, kept: slice) -> MixMemory:
        """For the next window, of which the `kept` frames are the history."""
        return MixMemory(self.level[kept], self.flicker[kept])


def solve_mixes(frames: Tensor, matches: Mapping[int, Match], memory: MixMemory) -> Mixes:
    """Mixes of a window of proxies `[T, 3, H, W]` whose first `len(memory.level)` are decided.

    matches: from `build_matches`.
    """
    past = len(memory.level)
    level, flicker = _carried(memory.level, len(frames), {}), frames.new_zeros(len(frames), 3, 2)
    flicker[:past] = memory.flicker
    if 2 not in matches:
        return Mixes.of(level, flicker)
    fits = {offset: _fit(frames, matches[offset]) for offset in (1, -1)}
    (_, *ahead), (_, *behind) = fits[1], fits[-1]
    plain, left = (torch.stack(pair) for pair in zip(ahead, behind, strict=True))
    explained = ramp(_part(plain.sum(), left.sum()), _EXPLAINED)
    stepped = _part(plain.sum(0), left.sum(0)) >= _STEP_EXPLAINED
    told = [explained, stepped.any().to(explained), (level + flicker).any().to(explained)]
    part, some_step, some_mix = torch.stack(told).tolist()
    if part == 0 and some_step == 0:
        return Mixes(level, flicker, some_mix == 0)
    fits |= {offset: _fit(frames, match) for offset, match in matches.items() if abs(offset) in (2, 4)}
    steps = {offset: step for offset, (step, *_) in fits.items()}
    jumps, opening = _jumps(steps, matches, level, max(past - 1, 0), stepped)
    if jumps:
        level = _carried(memory.level, len(frames), jumps)
        level = level - level.mean(0) if past == 0 and not _climbs(list(jumps.values())) else level
    if past == 0:
        for frame, jump in opening.items():
            level[:frame] += jump
    return Mixes.of(level, _flicker(steps, level, flicker, past, part) if part > 0 else flicker)


def _fit(frames: Tensor, match: Match) -> tuple[Step, Tensor, Tensor]:
    """Steps of Λ along a match as `[n, 3, 1, 2]`, and what gains, and Θ besides, leave of the cells: `[n]` each."""
    n = len(match.flow_px)
    here = frames[match.start : match.start + n]
    there = sample(frames[match.start + match.offset :][:n], target_grid(match.flow_px))
    clipped = (torch.maximum(here, there).amax(1, keepdim=True) >= CLIPPED).to(frames.dtype)
    visible = match.visible * (1 - clipped)
    mass = cell_means(visible).flatten(1)
    one, other = (cell_means(visible * each).flatten(2) / (mass[:, None] + 1e-6) for each in (here, there))
    weight = mass
    for _ in range(_ROUNDS):
        matrix = _regression(one, other, weight)
        left = (other - matrix @ one).square().mean(1)
        usual = (left * mass).sum(1, keepdim=True) / mass.sum(1, keepdim=True).clamp_min(1e-6)
        weight = mass / (1 + left / (usual + 1e-7))
    cells = (-1, *(side // CELL_PX for side in frames.shape[-2:]))
    plain, left = (_beside_gains(each, other, weight, cells) for each in (one, (matrix @ one).clamp(0, 1)))
    grey = matrix.sum(2, keepdim=True).clamp_min(0.1)
    mix = log_of_matrix(matrix / grey)
    distance = (from_grey(frames) @ one).square().mean(1)
    told = ((distance * weight).sum(1) / weight.sum(1).clamp_min(1e-6)).view(-1, 1, 1, 1)
    sure = (told / (told + _COLOURED**2)).square() * match.visible.mean((1, 2, 3)).view(-1, 1, 1, 1)
    flow = frames.new_zeros(n, 2, 1, 2)
    step = Step(match.offset, match.start, flow, mix[:, :, None].contiguous(), sure.expand(-1, 3, 1, 2).contiguous())
    return step, plain, left


def _beside_gains(one: Tensor, other: Tensor, weight: Tensor, cells: tuple[int, ...]) -> Tensor:
    """What is left of cells `[n, 3, c]` once every place has the gains that suit it, weighed by `[n, c]`: `[n]`.

    Regions that pump are no colour: gains of places say all of it. What they cannot say is that colours side by side
    change in different ways.
    """
    mass = weight.view(cells)[:, None]
    here, there = (each.reshape(-1, 3, *cells[1:]) for each in (one, other))
    energy = box_mean(here.square() * mass, _PLACE_CELLS)
    gains = box_mean(there * here * mass, _PLACE_CELLS) / energy.clamp_min(1e-6)
    left: Tensor = ((there - gains * here).square() * mass).mean(1).sum((1, 2))
    return left


def _regression(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """M `[n, 3, 3]` of other ≈ M one, cells `[n, 3, c]` weighed by `[n, c]`, held to the identity by a little."""
    moments = (one * weight[:, None]) @ one.transpose(1, 2)
    change = ((other - one) * weight[:, None]) @ one.transpose(1, 2)
    unit = torch.eye(3, device=one.device)
    hold = 1e-4 * weight.sum(1).view(-1, 1, 1) * unit + 1e-9 * unit
    found: Tensor = torch.linalg.solve(moments + hold, change.transpose(1, 2))
    return unit + found.transpose(1, 2)


def _part(plain: Tensor, left: Tensor) -> Tensor:
    """The part that Θ explains of what gains leave."""
    return 1 - left / plain.clamp_min(1e-9)


def _flicker(steps: Mapping[int, Step], level: Tensor, known: Tensor, past: int, part: float) -> Tensor:
    """What takes flicker out beside the level, `[T, 3, 2]`, as far as it counts; the first frames are known."""
    frames, pyramid = len(level), Pyramid(1, 2, device=level.device)
    steps = {offset: without_trend(step, -level[:, :, None]) for offset, step in steps.items()}
    path = trend_path(steps, frames, pyramid)
    steps = {offset: without_trend(step, path) for offset, step in steps.items()}
    scale = flicker_scale(steps, pyramid, smallest=[_SMALLEST] * len(pyramid.sizes))
    free = torch.ones(frames, device=level.device)
    free[:past] = 0
    unknowns = MultiscaleUnknowns(pyramid, list(scale * part), free)
    if not unknowns.levels:
        return known
    problem = ToneProblem(unknowns, known[:, :, None])
    solve_rounds(problem, _Model(steps), _ITERATIONS)
    return torch.cat([known[:past], _without_luma(problem.field[past:, :, 0])])


def _without_luma(mix: Tensor) -> Tensor:
    """Λ `[..., 3, 2]` without what it does to luma, unless that is a large part of it."""
    luma = mix.new_tensor(BT709) @ mix
    part = (luma.square().mean() / mix.square().mean().clamp_min(1e-12)).sqrt()
    return mix - (1 - ramp(part, _OF_LUMA)) * luma[..., None, :]


class _Model:
    """Observes and weighs the steps; see `ToneModel`."""

    def __init__(self, steps: Mapping[int, Step]) -> None:
        self._steps = steps

    def observe(self, round_: int, field: Tensor) -> Mapping[int, Step] | None:
        """The same in each round."""
        return self._steps if round_ == 0 else None

    def weigh(self, round_: int, problem: ToneProblem) -> Terms:
        """As observed."""
        fidelity = [problem.fixed.new_tensor(_FIDELITY * _FIRST_VARIANCE)] * len(problem.unknowns.levels)
        centring = Centring(len(problem.fixed), 0.1, device=problem.fixed.device)
        return Terms(observed_weights(problem.operator), 1.0, fidelity, centring)


def _jumps(
    steps: Mapping[int, Step], matches: Mapping[int, Match], level: Tensor, first: int, stepped: Tensor
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Steps of Λ that stay, `[3, 2]` by the frame that they lie before: seams, and one after odd first frames.

    stepped: whether Θ counts at each boundary.
    """
    frames = len(level)
    steps = {offset: without_trend(step, -level[:, :, None]) for offset, step in steps.items()}
    fit = fit_steps(steps, {offset: matches[offset] for offset in steps}, frames)
    fit = replace(fit, explained=torch.where((fit.size >= _SMALLEST_STEP) & stepped, fit.explained, 0.0))
    found = [b for b in select_seams(fit, first, []) if float(fit.peak[b]) <= LARGEST]
    opening = select_opening(fit)
    seams = {b + 1: _without_luma(_mean_step(steps, b)) for b in found}
    return seams, {} if opening is None else {opening + 1: _without_luma(_mean_step(steps, opening))}


def _climbs(jumps: Sequence[Tensor]) -> bool:
    """Whether steps of Λ, `[3, 2]` each, all go one way: a generator's windows leave the look of the first behind."""
    return len(jumps) > 1 and all(
        float((one * other).sum()) > _ONE_WAY * float(one.norm() * other.norm()) for one, other in pairwise(jumps)
    )


def _mean_step(steps: Mapping[int, Step], boundary: int) -> Tensor:
    """Mean over the matches that lead across a boundary, `[3, 2]`."""
    values = []
    for offset, step in steps.items():
        for row in range(len(step.log_ratio)):
            first, last = sorted((step.start + row, step.start + row + offset))
            if first <= boundary < last:
                values.append(step.log_ratio[row, :, 0] * (1 if offset > 0 else -1))
    return torch.stack(values).mean(0)


def _carried(known: Tensor, frames: int, jumps: Mapping[int, Tensor]) -> Tensor:
    """Λ of all frames against steps alone, `[T, 3, 2]`: it stays, but for the jumps and the leak."""
    levels = [*known]
    level = known[-1] if len(known) else known.new_zeros(3, 2)
    for frame in range(len(known), frames):
        level = level * (1 - 1 / _LEAK_FRAMES)
        level = level * (level.abs().max() > 0.001)
        if frame in jumps:
            level = level - jumps[frame]
        levels.append(level)
    return torch.stack(levels)

"""The tone energy of a window as a weighted least-squares problem, and its minimiser.

Weights are recomputed between solves (iteratively reweighted least squares); each solve is conjugate gradients on the
unknowns of a pyramid. Tests hold the minimiser to `losses`, which give the energy that a run reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from deflicker.correction.tone.losses import centring_loss, local_means, tone_energy
from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import MultiscaleUnknowns
from deflicker.correction.tone.step_operator import StepOperator
from deflicker.correction.tone.step_weights import StepWeights

_WHILE_FRAMES = 12.0
"""Standard deviation of the time over which flicker has no mean."""


@dataclass(frozen=True, eq=False)
class Energy:
    """`losses.tone_energy` of a window, one number each."""

    before: Tensor
    """Of no correction other than the decided frames'."""
    after: Tensor
    """Of the correction found."""


class Centring:
    """The centring term ρ `losses.centring_loss`, and its derivative."""

    def __init__(
        self, frames: int, weight: Tensor | float, *, relative: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        """weight: ρ. relative: only of the cells' deviation from the picture's mean, which itself is left free."""
        self._weight, self._relative = weight, relative
        self._means = local_means(frames, _WHILE_FRAMES, device=device)
        self._stiffness = weight * self._means.T @ self._means

    def gradient(self, gains: Tensor) -> Tensor:
        """Half the derivative with respect to a correction `[T, 3, h, w]`."""
        gains = self._centred(gains)
        return (self._stiffness @ gains.flatten(1)).view_as(gains)

    def energy(self, gains: Tensor) -> Tensor:
        """One number."""
        return self._weight * centring_loss(self._centred(gains), self._means)

    def _centred(self, gains: Tensor) -> Tensor:
        return gains - gains.mean((2, 3), keepdim=True) if self._relative else gains


@dataclass(frozen=True, eq=False)
class Terms:
    """The energy's terms for one solve."""

    weights: StepWeights
    first_order: float
    """β."""
    fidelity: Sequence[Tensor]
    """κ times the residual's variance, for each of the unknowns' levels."""
    centring: Centring


class ToneProblem:
    """E(u) of a window, with c = fixed + expand(u), and the best u so far."""

    operator: StepOperator
    terms: Terms

    def __init__(self, unknowns: MultiscaleUnknowns, fixed: Tensor) -> None:
        """fixed: `[T, 3, h, w]`, the part of the correction that is not free."""
        self.unknowns, self.fixed = unknowns, fixed
        self.solution = unknowns.zeros(len(fixed), fixed)
        self.field = fixed
        """`[T, 3, h, w]`, the correction so far."""

    def observe_again(self, steps: Mapping[int, Step]) -> None:
        """Take these steps from now on."""
        frames, _, height, width = self.fixed.shape
        self.operator = StepOperator(steps, (frames, height, width))

    def reweight(self, terms: Terms) -> None:
        """Take these weights from now on."""
        self.terms = terms

    def residual(self) -> Tensor:
        """r, `[rows, 3]`: the tone left along every match."""
        return self.operator.apply(self.field) + self.operator.offset

    def energy(self) -> Energy:
        """Under the present steps and weights."""
        return Energy(self._energy(self.fixed, None), self._energy(self.field, self.solution))

    def solve(self, iterations: int) -> None:
        """Conjugate gradients towards the minimum under the present steps and weights, from the solution so far."""
        unknowns, operator, terms = self.unknowns, self.operator, self.terms
        stiffness = [each * n for each, n in zip(terms.fidelity, unknowns.cells_per_unknown, strict=True)]
        typical = 2 * sum(w.sum() for w in terms.weights.second) * 3 / self.fixed.numel()
        diagonal = [
            each + n * s.square() * typical
            for each, n, s in zip(stiffness, unknowns.cells_per_unknown, unknowns.scale, strict=True)
        ]

        def hessian(u: list[Tensor]) -> list[Tensor]:
            gains = unknowns.expand(u)
            back = operator.adjoint(weigh(operator, terms, operator.apply(gains)))
            found = unknowns.collect(back + terms.centring.gradient(gains))
            return [p + each * x for p, each, x in zip(found, stiffness, u, strict=True)]

        downhill = unknowns.collect(
            operator.adjoint(weigh(operator, terms, self.residual())) + terms.centring.gradient(self.field)
        )
        solution = self.solution
        r = [-g - each * u for g, each, u in zip(downhill, stiffness, solution, strict=True)]
        z = [a / m for a, m in zip(r, diagonal, strict=True)]
        direction, power = z, _dot(r, z)
        for _ in range(iterations):
            curved = hessian(direction)
            length = power / _dot(direction, curved).clamp_min(1e-20)
            solution = [x + length * p for x, p in zip(solution, direction, strict=True)]
            r = [a - length * b for a, b in zip(r, curved, strict=True)]
            z = [a / m for a, m in zip(r, diagonal, strict=True)]
            previous, power = power, _dot(r, z)
            direction = [a + power / previous.clamp_min(1e-30) * p for a, p in zip(z, direction, strict=True)]
        self.solution = solution
        self.field = self.fixed + unknowns.expand(solution)

    def _energy(self, field: Tensor, solution: list[Tensor] | None) -> Tensor:
        operator, terms = self.operator, self.terms
        residual = operator.apply(field) + operator.offset
        first_weight = terms.first_order * terms.weights.first
        for offset, rows in operator.rows.items():
            first_weight[rows] /= abs(offset)
        second = [residual[ahead] + residual[behind] for _, ahead, behind in operator.both_ways()]
        unknowns = solution if solution is not None else [torch.zeros_like(each) for each in self.solution]
        sizes = self.unknowns.cells_per_unknown
        fidelity = [(f * n).expand(u.numel()) for f, n, u in zip(terms.fidelity, sizes, unknowns, strict=True)]
        return terms.centring.energy(field) + tone_energy(
            residual,
            torch.cat(second),
            torch.cat([u.flatten() for u in unknowns]),
            first_weight=first_weight,
            second_weight=torch.cat(terms.weights.second),
            fidelity_weight=torch.cat(fidelity),
        )


def weigh(operator: StepOperator, terms: Terms, residual: Tensor) -> Tensor:
    """Half the derivative of E with respect to the residuals: W r with the second-order rows coupled in."""
    gradient = torch.empty_like(residual)
    for offset, rows in operator.rows.items():
        gradient[rows] = terms.first_order / abs(offset) * terms.weights.first[rows] * residual[rows]
    for (_, ahead, behind), weight in zip(operator.both_ways(), terms.weights.second, strict=True):
        curve = weight * (residual[ahead] + residual[behind])
        gradient[ahead] += curve
        gradient[behind] += curve
    return gradient


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


class ToneModel(Protocol):
    """What the tone of a window is explained by: gains of cells, or curves."""

    def observe(self, round_: int, field: Tensor) -> Mapping[int, Step] | None:
        """The steps, given the correction so far; None for those of the round before."""

    def weigh(self, round_: int, problem: ToneProblem) -> Terms | None:
        """The terms, given the problem so far; None where there is nothing to solve."""


def solve_rounds(problem: ToneProblem, model: ToneModel, iterations: Sequence[int]) -> bool:
    """Observe, reweight and solve, round by round. False where the model found nothing to solve."""
    for round_, count in enumerate(iterations):
        if (steps := model.observe(round_, problem.field)) is not None:
            problem.observe_again(steps)
        if (terms := model.weigh(round_, problem)) is None:
            return False
        problem.reweight(terms)
        problem.solve(count)
    return True

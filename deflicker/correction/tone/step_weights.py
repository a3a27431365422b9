"""How much each observed step counts: as observed, or less where it disagrees with its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.tone.observations import outlier_weight
from deflicker.correction.tone.step_operator import StepOperator, flatten


@dataclass(frozen=True, eq=False)
class StepWeights:
    """Weights of first and second differences, `[rows, 3]`."""

    first: Tensor
    second: list[Tensor]
    """Per pair of `StepOperator.both_ways`."""

    def scaled(self, second_order: float) -> StepWeights:
        """With those of second differences times a number."""
        return StepWeights(self.first, [each * second_order for each in self.second])


def observed_weights(operator: StepOperator) -> StepWeights:
    """As observed."""
    second = [operator.weight[ahead] * operator.weight[behind] for _, ahead, behind in operator.both_ways()]
    return StepWeights(operator.weight, second)


def robust_weights(operator: StepOperator, residual: Tensor) -> StepWeights:
    """Cauchy weights from how far each residual `[rows, 3]` is from the mean of its 7×7 neighbourhood.

    A spatially coherent jump in time is never an outlier; a cell that disagrees with its surroundings is.
    """
    first = operator.weight.clone()
    for offset, rows in operator.rows.items():
        confidence = operator.field(operator.weight, offset)
        first[rows] = flatten(confidence * outlier_weight(operator.field(residual, offset), confidence))
    second = []
    for lag, *_ in operator.both_ways():
        curve = operator.field(residual, lag)[lag:] + operator.field(residual, -lag)[:-lag]
        confidence = operator.field(operator.weight, lag)[lag:] * operator.field(operator.weight, -lag)[:-lag]
        second.append(flatten(confidence * outlier_weight(curve, confidence)))
    return StepWeights(first, second)


def residual_variance(operator: StepOperator, weights: StepWeights, residual: Tensor) -> Tensor:
    """Smallest mean squared second difference over the lags: the noise the energy is measured against."""
    variances = [
        ((residual[ahead] + residual[behind]).square() * weight).sum() / weight.sum().clamp_min(1e-6)
        for (_, ahead, behind), weight in zip(operator.both_ways(), weights.second, strict=True)
    ]
    return torch.stack(variances).min()

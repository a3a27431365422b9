"""The tone energy as a weighted least-squares problem, and its minimiser.

Sampling along motion is one sparse matrix, so a product with the energy's Hessian is two sparse products and a few
small dense ones. Weights are recomputed between solves (iteratively reweighted least squares); each solve is conjugate
gradients on the latents of a pyramid.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.tone.losses import local_means
from deflicker.correction.tone.observations import Step, likeness
from deflicker.correction.tone.pyramid import Pyramid

_WHILE_FRAMES = 12.0
"""Standard deviation of the while over which flicker has no mean."""


class StepOperator:
    """r = A c + d for one window: the tone left along every match, as a linear map of the cells' log gains.

    Rows are the cells of every step, in the steps' order; c is `[T, 3, h, w]`.
    """

    def __init__(self, steps: Mapping[int, Step], shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.steps = dict(steps)
        self.rows: dict[int, slice] = {}
        rows, columns, values, count = [], [], [], 0
        for offset, step in self.steps.items():
            row, column, value = _entries(step, shape)
            rows.append(row + count)
            columns.append(column)
            values.append(value)
            size = step.log_ratio.shape[0] * shape[1] * shape[2]
            self.rows[offset] = slice(count, count + size)
            count += size
        unknowns = shape[0] * shape[1] * shape[2]
        self._matrix, self._transposed = _sparse(
            torch.cat(rows), torch.cat(columns), torch.cat(values), (count, unknowns)
        )
        self.offset = torch.cat([_flat(step.log_ratio) for step in self.steps.values()])
        self.weight = torch.cat([_flat(step.weight) for step in self.steps.values()])

    def apply(self, gains: Tensor) -> Tensor:
        """A c: `[T, 3, h, w]` → `[rows, 3]`."""
        return self._matrix @ _flat(gains)

    def adjoint(self, residual: Tensor) -> Tensor:
        """Aᵀ r: `[rows, 3]` → `[T, 3, h, w]`."""
        frames, height, width = self.shape
        return (self._transposed @ residual).view(frames, height, width, 3).permute(0, 3, 1, 2)

    def field(self, flat: Tensor, offset: int) -> Tensor:
        """The rows of one step as `[n, 3, h, w]`."""
        _, height, width = self.shape
        return flat[self.rows[offset]].view(-1, height, width, 3).permute(0, 3, 1, 2)

    def both_ways(self) -> list[tuple[int, slice, slice]]:
        """(lag, rows ahead, rows behind) of the frames that have a match both ways, per lag, row for row alike."""
        cells = self.shape[1] * self.shape[2]
        pairs = []
        for lag in (offset for offset in self.steps if offset > 0):
            ahead, behind = self.rows[lag], self.rows[-lag]
            if ahead.stop - ahead.start > lag * cells:
                pairs.append(
                    (lag, slice(ahead.start + lag * cells, ahead.stop), slice(behind.start, behind.stop - lag * cells))
                )
        return pairs


def _sparse(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A matrix and its transpose, both compressed by rows, the layout whose products are fast."""
    with warnings.catch_warnings():  # torch calls the layout beta, once per process
        warnings.simplefilter("ignore", UserWarning)
        matrix = torch.sparse_coo_tensor(torch.stack([rows, columns]), values, size).coalesce()
        return matrix.to_sparse_csr(), matrix.t().coalesce().to_sparse_csr()


def _flat(field: Tensor) -> Tensor:
    return field.permute(0, 2, 3, 1).reshape(-1, field.shape[1])


def _entries(step: Step, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Sparse rows of `c_{t+k}(x + f) − c_t(x)` with bilinear weights: (row, column, value)."""
    _, height, width = shape
    n = step.flow_cells.shape[0]
    device = step.flow_cells.device
    rows = torch.arange(n * height * width, device=device)
    frame = torch.arange(n, device=device).view(n, 1, 1) + step.start
    x = torch.arange(width, device=device).view(1, 1, width) + step.flow_cells[:, 0]
    y = torch.arange(height, device=device).view(1, height, 1) + step.flow_cells[:, 1]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    share_x, share_y = x - left, y - top
    base = (frame + step.offset) * height * width
    columns, values = [], []
    for dy, weight_y in ((0, 1 - share_y), (1, share_y)):
        for dx, weight_x in ((0, 1 - share_x), (1, share_x)):
            row_index = (top + dy).clamp(max=height - 1).long()
            column_index = (left + dx).clamp(max=width - 1).long()
            columns.append((base + row_index * width + column_index).reshape(-1))
            values.append((weight_y * weight_x).reshape(-1))
    own = rows + step.start * height * width
    return rows.repeat(5), torch.cat([*columns, own]), torch.cat([*values, -torch.ones_like(values[0])])


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the energy's terms, `[rows, 3]`: first order as given, second order per `both_ways` pair."""

    first: Tensor
    second: list[Tensor]


def robust_weights(operator: StepOperator, residual: Tensor) -> Weights:
    """Cauchy weights from how far each residual is from its 7×7 neighbourhood's mean.

    A spatially coherent jump in time is never an outlier; a cell that disagrees with its surroundings is.
    """
    first = operator.weight.clone()
    for offset, rows in operator.rows.items():
        trust = operator.field(operator.weight, offset)
        first[rows] = _flat(trust * likeness(operator.field(residual, offset), trust))
    second = []
    for lag, *_ in operator.both_ways():
        curve = operator.field(residual, lag)[lag:] + operator.field(residual, -lag)[:-lag]
        trust = operator.field(operator.weight, lag)[lag:] * operator.field(operator.weight, -lag)[:-lag]
        second.append(_flat(trust * likeness(curve, trust)))
    return Weights(first, second)


def plain_weights(operator: StepOperator) -> Weights:
    """Weights as observed, robust against nothing."""
    second = [operator.weight[ahead] * operator.weight[behind] for _, ahead, behind in operator.both_ways()]
    return Weights(operator.weight, second)


def weigh(operator: StepOperator, weights: Weights, residual: Tensor, share: float) -> Tensor:
    """Derivative of E with respect to the residuals, halved: W r with the second-order rows coupled in."""
    pull = torch.empty_like(residual)
    for offset, rows in operator.rows.items():
        pull[rows] = share / abs(offset) * weights.first[rows] * residual[rows]
    for (_, ahead, behind), weight in zip(operator.both_ways(), weights.second, strict=True):
        curve = weight * (residual[ahead] + residual[behind])
        pull[ahead] += curve
        pull[behind] += curve
    return pull


def residual_variance(operator: StepOperator, weights: Weights, residual: Tensor) -> Tensor:
    """Smallest mean squared second difference over the lags: the noise the energy is measured against."""
    variances = [
        ((residual[ahead] + residual[behind]).square() * weight).sum() / weight.sum().clamp_min(1e-6)
        for (_, ahead, behind), weight in zip(operator.both_ways(), weights.second, strict=True)
    ]
    return torch.stack(variances).min()


class Latents:
    """c = fixed + free · Σ_l up(s_l u_l): the correction as latents of unit variance, scaled by the gate."""

    def __init__(self, pyramid: Pyramid, scale: Sequence[Tensor], free: Tensor) -> None:
        """scale: s_l, one number or `[1, 1, h_l, w_l]` for each level; free: `[T]`, 0 for frames that are decided."""
        self.pyramid = pyramid
        self.free = free.view(-1, 1, 1, 1)
        self.levels = [level for level in range(len(pyramid.sizes)) if bool((scale[level] > 0).any())]
        self.scale = [scale[level] * self.free for level in self.levels]
        cells = pyramid.sizes[0][0] * pyramid.sizes[0][1]
        self.cells_per_latent = [cells / (h * w) for h, w in (pyramid.sizes[level] for level in self.levels)]

    def zeros(self, frames: int, like: Tensor) -> list[Tensor]:
        return [like.new_zeros(frames, 3, *self.pyramid.sizes[level]) for level in self.levels]

    def expand(self, latents: list[Tensor]) -> Tensor:
        parts = [
            self.pyramid.expand(level, scale * u)
            for level, scale, u in zip(self.levels, self.scale, latents, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def collect(self, cells: Tensor) -> list[Tensor]:
        return [
            scale * self.pyramid.collect(level, cells) for level, scale in zip(self.levels, self.scale, strict=True)
        ]


def centring_pull(
    frames: int, share: Tensor | float, *, apart: bool = False, device: torch.device | str = "cpu"
) -> Callable[[Tensor], Tensor]:
    """Half the derivative of ρ `losses.centring_loss` with respect to a correction `[T, 3, h, w]`.

    share: ρ. apart: of how far the cells are apart from the whole picture's mean alone, which itself is left free.
    """
    means = local_means(frames, _WHILE_FRAMES, device=device)
    pull = share * means.T @ means

    def pulled(gains: Tensor) -> Tensor:
        if apart:
            gains = gains - gains.mean((2, 3), keepdim=True)
        return (pull @ gains.flatten(1)).view_as(gains)

    return pulled


def minimise(
    operator: StepOperator,
    weights: Weights,
    latents: Latents,
    start: list[Tensor],
    fixed: Tensor,
    *,
    share: float,
    fidelity: Sequence[Tensor],
    iterations: int,
    centring: Callable[[Tensor], Tensor] | None = None,
) -> list[Tensor]:
    """Conjugate gradients on the latents: the minimum of the energy for given weights.

    fixed: `[T, 3, h, w]`, the part of the correction that is not free. fidelity: κ times the residual variance, for
    each of the latents' levels.
    centring: from `centring_pull`, where there is such a term.
    """

    pulls = [each * n for each, n in zip(fidelity, latents.cells_per_latent, strict=True)]

    def centred(gains: Tensor) -> Tensor | float:
        return 0.0 if centring is None else centring(gains)

    def hessian(u: list[Tensor]) -> list[Tensor]:
        gains = latents.expand(u)
        pull = operator.adjoint(weigh(operator, weights, operator.apply(gains), share))
        pulled = latents.collect(pull + centred(gains))
        return [p + pull * x for p, pull, x in zip(pulled, pulls, u, strict=True)]

    typical = 2 * sum(w.sum() for w in weights.second) * 3 / fixed.numel()
    diagonal = [
        pull + n * s.square() * typical
        for pull, n, s in zip(pulls, latents.cells_per_latent, latents.scale, strict=True)
    ]
    gains = fixed + latents.expand(start)
    residual = operator.apply(gains) + operator.offset
    downhill = latents.collect(operator.adjoint(weigh(operator, weights, residual, share)) + centred(gains))
    r = [-g - pull * u for g, pull, u in zip(downhill, pulls, start, strict=True)]
    solution = list(start)
    z = [a / m for a, m in zip(r, diagonal, strict=True)]
    direction, power = z, _dot(r, z)
    for _ in range(iterations):
        curved = hessian(direction)
        pace = power / _dot(direction, curved).clamp_min(1e-20)
        solution = [x + pace * p for x, p in zip(solution, direction, strict=True)]
        r = [a - pace * b for a, b in zip(r, curved, strict=True)]
        z = [a / m for a, m in zip(r, diagonal, strict=True)]
        previous, power = power, _dot(r, z)
        direction = [a + power / previous.clamp_min(1e-30) * p for a, p in zip(z, direction, strict=True)]
    return solution


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()

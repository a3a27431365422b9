"""The tone left along every match of a window, as a linear map of the log gains: r = A c + d.

Sampling along motion is one sparse matrix, so applying it and its transpose are two sparse products.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.correction.tone.observations import Step


class StepOperator:
    """A, d and the observations' weights. Rows are the cells of every step, in the steps' order.

    c is `[T, 3, h, w]`, log gains; r is `[rows, 3]`.
    """

    def __init__(self, steps: Mapping[int, Step], shape: tuple[int, int, int]) -> None:
        """shape: T, h, w."""
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
        self.offset = torch.cat([flatten(step.log_ratio) for step in self.steps.values()])
        """d, `[rows, 3]`."""
        self.weight = torch.cat([flatten(step.weight) for step in self.steps.values()])
        """`[rows, 3]`, in [0, 1]."""

    def apply(self, gains: Tensor) -> Tensor:
        """A c: `[T, 3, h, w]` → `[rows, 3]`."""
        return self._matrix @ flatten(gains)

    def adjoint(self, residual: Tensor) -> Tensor:
        """Aᵀ r: `[rows, 3]` → `[T, 3, h, w]`."""
        frames, height, width = self.shape
        return (self._transposed @ residual).view(frames, height, width, 3).permute(0, 3, 1, 2)

    def field(self, flat: Tensor, offset: int) -> Tensor:
        """The rows of one step as `[n, 3, h, w]`."""
        _, height, width = self.shape
        return flat[self.rows[offset]].view(-1, height, width, 3).permute(0, 3, 1, 2)

    def both_ways(self) -> list[tuple[int, slice, slice]]:
        """(lag, rows ahead, rows behind) of the frames that have a match both ways, per lag, in the same order."""
        cells = self.shape[1] * self.shape[2]
        pairs = []
        for lag in (offset for offset in self.steps if offset > 0):
            ahead, behind = self.rows[lag], self.rows[-lag]
            if ahead.stop - ahead.start > lag * cells:
                pairs.append(
                    (lag, slice(ahead.start + lag * cells, ahead.stop), slice(behind.start, behind.stop - lag * cells))
                )
        return pairs


def flatten(field: Tensor) -> Tensor:
    """`[n, 3, h, w]` → `[n h w, 3]`."""
    return field.permute(0, 2, 3, 1).reshape(-1, field.shape[1])


def _sparse(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A matrix and its transpose, both compressed by rows, the layout whose products are fast."""
    with warnings.catch_warnings():  # torch calls the layout beta, once per process
        warnings.simplefilter("ignore", UserWarning)
        matrix = torch.sparse_coo_tensor(torch.stack([rows, columns]), values, size).coalesce()
        return matrix.to_sparse_csr(), matrix.t().coalesce().to_sparse_csr()


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
    right_weight, bottom_weight = x - left, y - top
    base = (frame + step.offset) * height * width
    columns, values = [], []
    for dy, weight_y in ((0, 1 - bottom_weight), (1, bottom_weight)):
        for dx, weight_x in ((0, 1 - right_weight), (1, right_weight)):
            row_index = (top + dy).clamp(max=height - 1).long()
            column_index = (left + dx).clamp(max=width - 1).long()
            columns.append((base + row_index * width + column_index).reshape(-1))
            values.append((weight_y * weight_x).reshape(-1))
    own = rows + step.start * height * width
    return rows.repeat(5), torch.cat([*columns, own]), torch.cat([*values, -torch.ones_like(values[0])])

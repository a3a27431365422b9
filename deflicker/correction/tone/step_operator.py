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
        columns, values, count = [], [], 0
        for offset, step in self.steps.items():
            column, value = _entries(step, shape)
            columns.append(column)
            values.append(value)
            size = step.log_ratio.shape[0] * shape[1] * shape[2]
            self.rows[offset] = slice(count, count + size)
            count += size
        unknowns = shape[0] * shape[1] * shape[2]
        self._matrix, self._transposed = _sparse(torch.cat(columns), torch.cat(values), unknowns)
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


def _sparse(columns: Tensor, values: Tensor, unknowns: int) -> tuple[Tensor, Tensor]:
    """A matrix and its transpose, both compressed by rows, the layout whose products are fast.

    columns, values: `[rows, n]`, what each row has, columns rising. Indices are of 32 bits, as a CPU's products want
    them: others are converted in each.
    """
    count, each = columns.shape
    ends = torch.arange(count + 1, device=columns.device, dtype=torch.int32) * each
    rising, order = columns.flatten().sort(stable=True)
    starts = torch.searchsorted(rising, torch.arange(unknowns + 1, device=columns.device, dtype=torch.int32))
    rows = (order // each).int()
    with warnings.catch_warnings():  # torch calls the layout beta, once per process
        warnings.simplefilter("ignore", UserWarning)
        matrix = torch.sparse_csr_tensor(ends, columns.flatten(), values.flatten(), (count, unknowns))
        return matrix, torch.sparse_csr_tensor(starts.int(), rows, values.flatten()[order], (unknowns, count))


def _entries(step: Step, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Sparse rows of `c_{t+k}(x + f) − c_t(x)` with bilinear weights: columns, rising, and values, `[rows, 5]` each,
    or `[rows, 3]` where cells lie in one line."""
    _, height, width = shape
    n = step.flow_cells.shape[0]
    device = step.flow_cells.device
    frame = torch.arange(n, device=device).view(n, 1, 1) + step.start
    x = torch.arange(width, device=device).view(1, 1, width) + step.flow_cells[:, 0]
    y = torch.arange(height, device=device).view(1, height, 1) + step.flow_cells[:, 1]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    right_weight, bottom_weight = x - left, y - top
    base = (frame + step.offset) * height * width
    columns, values = [], []
    for dy, weight_y in enumerate((1 - bottom_weight, bottom_weight)[:height]):
        for dx, weight_x in enumerate((1 - right_weight, right_weight)[:width]):
            columns.append((base + (top + dy).long() * width + (left + dx).long()).flatten())
            values.append((weight_y * weight_x).flatten())
    own = torch.arange(n * height * width, device=device) + step.start * height * width
    at = 0 if step.offset > 0 else len(columns)
    columns.insert(at, own)
    values.insert(at, -torch.ones_like(values[0]))
    return torch.stack(columns, -1).int(), torch.stack(values, -1)

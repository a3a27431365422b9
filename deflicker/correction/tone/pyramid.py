"""A field of cells as a sum of levels from one value for the picture down to one per cell.

Solving for the levels instead of the cells is the preconditioner: a whole-frame pump is one unknown, not hundreds
that have to agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """(h, w) of each level, finest first, halved (rounded up) while a side exceeds 2, then the global (1, 1)."""
    sizes = [(height, width)]
    while max(sizes[-1]) > 2:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    if sizes[-1] != (1, 1):
        sizes.append((1, 1))
    return sizes


def interpolation(coarse: int, fine: int) -> Tensor:
    """Matrix `[fine, coarse]` of linear interpolation between cell centres, constant beyond the outer centres."""
    position = (torch.arange(fine, dtype=torch.float64) + 0.5) * coarse / fine - 0.5
    position = position.clamp(0, coarse - 1)
    left = position.floor().clamp(max=max(coarse - 2, 0)).long()
    right = (left + 1).clamp(max=coarse - 1)
    weight = position - left
    matrix = torch.zeros(fine, coarse, dtype=torch.float64)
    rows = torch.arange(fine)
    matrix.index_put_((rows, left), 1 - weight, accumulate=True)
    matrix.index_put_((rows, right), weight, accumulate=True)
    return matrix.float()


class Pyramid:
    """Linear maps between levels and cells of a `height × width` grid."""

    def __init__(self, height: int, width: int, *, device: torch.device | str = "cpu") -> None:
        self.sizes = level_sizes(height, width)
        self._rows = [interpolation(h, height).to(device) for h, _ in self.sizes]
        self._columns = [interpolation(w, width).to(device) for _, w in self.sizes]
        self._steps = [
            (interpolation(coarse[0], fine[0]).to(device), interpolation(coarse[1], fine[1]).to(device))
            for fine, coarse in zip(self.sizes, self.sizes[1:], strict=False)
        ]

    def expand(self, level: int, values: Tensor) -> Tensor:
        """`[..., h_l, w_l]` of a level → `[..., height, width]`."""
        return self._rows[level] @ values @ self._columns[level].T

    def collect(self, level: int, cells: Tensor) -> Tensor:
        """Adjoint of `expand`: `[..., height, width]` → `[..., h_l, w_l]`."""
        return self._rows[level].T @ cells @ self._columns[level]

    def finer(self, level: int, coarser: Tensor) -> Tensor:
        """Values of level + 1 interpolated to `level`."""
        rows, columns = self._steps[level]
        return rows @ coarser @ columns.T

    def split(self, field: Tensor, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Bands of a weighted field: per level what it holds beyond the next coarser one, with its mean weight.

        field, weight: `[..., height, width]`. Each level's value is the weighted mean around it.
        """
        means, weights = [], []
        for level in range(len(self.sizes)):
            mass = self.collect(level, torch.ones_like(weight))
            gathered = self.collect(level, weight)
            weights.append(gathered / mass)
            means.append(self.collect(level, field * weight) / gathered.clamp_min(1e-6))
        bands = [
            (means[level] - self.finer(level, means[level + 1]), weights[level]) for level in range(len(self.sizes) - 1)
        ]
        return [*bands, (means[-1], weights[-1])]

    def merge(self, bands: list[Tensor]) -> Tensor:
        """Inverse of `split`'s bands: `[..., height, width]`."""
        field = bands[-1]
        for level in reversed(range(len(self.sizes) - 1)):
            field = bands[level] + self.finer(level, field)
        return field


class MultiscaleUnknowns:
    """c = fixed + free · Σ_l up(s_l u_l): a correction as unknowns of unit variance, scaled by the gate."""

    def __init__(self, pyramid: Pyramid, scale: Sequence[Tensor], free: Tensor) -> None:
        """scale: s_l, one number or `[1, 1, h_l, w_l]` for each level; free: `[T]`, 0 for frames that are decided."""
        self.pyramid = pyramid
        self.free = free.view(-1, 1, 1, 1)
        flickers = torch.stack([(each > 0).any() for each in scale])
        self.levels = [level for level, some in enumerate(flickers.tolist()) if some]
        """Those that flicker."""
        self.scale = [scale[level] * self.free for level in self.levels]
        cells = pyramid.sizes[0][0] * pyramid.sizes[0][1]
        self.cells_per_unknown = [cells / (h * w) for h, w in (pyramid.sizes[level] for level in self.levels)]

    def zeros(self, frames: int, like: Tensor) -> list[Tensor]:
        """u = 0: `[T, 3, h_l, w_l]` for each level."""
        return [like.new_zeros(frames, 3, *self.pyramid.sizes[level]) for level in self.levels]

    def expand(self, unknowns: list[Tensor]) -> Tensor:
        """Σ_l up(s_l u_l), `[T, 3, h, w]`."""
        parts = [
            self.pyramid.expand(level, scale * u)
            for level, scale, u in zip(self.levels, self.scale, unknowns, strict=True)
        ]
        return torch.stack(parts).sum(0)

    def collect(self, cells: Tensor) -> list[Tensor]:
        """Adjoint of `expand`."""
        return [
            scale * self.pyramid.collect(level, cells) for level, scale in zip(self.levels, self.scale, strict=True)
        ]

"""Cells: the squares of a proxy over which light is averaged, and on which corrections live."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

CELL_PX = 8
"""Side of a cell, in pixels of the proxy."""


def cell_means(image: Tensor) -> Tensor:
    """Means over cells: `[N, C, H, W]` → `[N, C, H / 8, W / 8]` (proxies have sides divisible by 8)."""
    return F.avg_pool2d(image, CELL_PX)

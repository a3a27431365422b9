"""A picture as bands of detail and a rest: a Laplacian pyramid of box means (Burt & Adelson 1983, with 2 × 2 means)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.filters import box_mean


def split_bands(image: Tensor, levels: int) -> list[Tensor]:
    """`[N, C, H, W]` → `levels` bands, finest first, each half the size of the one before, and the rest last."""
    bands = []
    for _ in range(levels):
        coarse = shrink(image)
        bands.append(image - _enlarge(coarse, image))
        image = coarse
    return [*bands, image]


def merge_bands(bands: Sequence[Tensor]) -> Tensor:
    """Inverse of `split_bands`."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = band + _enlarge(image, band)
    return image


def pool(image: Tensor, cell_px: int) -> Tensor:
    """Means of cells of `cell_px`²: `[..., H, W]` → `[..., ⌈H / cell_px⌉, ⌈W / cell_px⌉]`."""
    return F.avg_pool2d(image, cell_px, ceil_mode=True, count_include_pad=False)


def shrink(image: Tensor) -> Tensor:
    """Means of 2 × 2 pixels; sides are rounded up. Even sides are summed row by row, several times as fast on a CPU."""
    if image.shape[-1] % 2 or image.shape[-2] % 2:
        return pool(image, 2)
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def cell_means(image: Tensor, cell_px: int, *, reach: int = 2) -> Tensor:
    """Mean around each cell of `cell_px`² over (2 reach + 1)² cells, one value a cell."""
    return box_mean(pool(image, cell_px), reach)


def spread(cells: Tensor, cell_px: int, size: Sequence[int]) -> Tensor:
    """Values of cells at each pixel of a picture of `size`, bilinear."""
    full = F.interpolate(cells, scale_factor=cell_px, mode="bilinear", align_corners=False)
    return full[..., : size[0], : size[1]]


def _enlarge(coarse: Tensor, like: Tensor) -> Tensor:
    return spread(coarse, 2, like.shape[-2:])

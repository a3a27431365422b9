"""A picture as bands of detail and a rest: a Laplacian pyramid of box means (Burt & Adelson 1983, with 2 × 2 means)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.neighbourhood import box_mean


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


def shrink(image: Tensor) -> Tensor:
    """Means of 2 × 2 pixels; sides are rounded up."""
    return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)


def local_mean(image: Tensor, *, cell_px: int = 4, reach: int = 2) -> Tensor:
    """Mean around each pixel over (2 reach + 1)² cells of `cell_px`, at the image's size: cheap at any width."""
    cells = F.avg_pool2d(image, cell_px, ceil_mode=True, count_include_pad=False)
    full = F.interpolate(box_mean(cells, reach), scale_factor=cell_px, mode="bilinear", align_corners=False)
    return full[..., : image.shape[-2], : image.shape[-1]]


def _enlarge(coarse: Tensor, like: Tensor) -> Tensor:
    fine = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return fine[..., : like.shape[-2], : like.shape[-1]]

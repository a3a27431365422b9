"""A picture as bands of detail and a rest: a Laplacian pyramid of box means (Burt & Adelson 1983, with 2 × 2 means)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.filters import block_mean, box_mean


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
    """Means of 2 × 2 pixels, `[..., H, W]`; sides are rounded up, of an odd one the edge counts alone.

    Whole rows are summed, which a CPU does several times as fast as pooling.
    """
    if image.shape[-2] % 2:
        image = torch.cat([image, image[..., -1:, :]], -2)
    if image.shape[-1] % 2:
        image = torch.cat([image, image[..., -1:]], -1)
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def enlarge(image: Tensor) -> Tensor:
    """Twice the size, bilinear between the middles of pixels: `[..., H, W]` → `[..., 2 H, 2 W]`."""
    if torch.is_grad_enabled() and image.requires_grad:
        height, width = image.shape[-2:]
        flat = image.reshape(-1, 1, height, width)
        large = F.interpolate(flat, scale_factor=2, mode="bilinear", align_corners=False)
        return large.reshape(*image.shape[:-2], 2 * height, 2 * width)
    height, width = image.shape[-2:]
    rows = image.new_empty(*image.shape[:-2], 2 * height, width)
    most = image * 0.75
    torch.add(most[..., 1:, :], image[..., :-1, :], alpha=0.25, out=rows[..., 2::2, :])
    torch.add(most[..., :-1, :], image[..., 1:, :], alpha=0.25, out=rows[..., 1:-1:2, :])
    rows[..., 0, :], rows[..., -1, :] = image[..., 0, :], image[..., -1, :]
    large = image.new_empty(*image.shape[:-2], 2 * height, 2 * width)
    most = rows * 0.75
    torch.add(most[..., 1:], rows[..., :-1], alpha=0.25, out=large[..., 2::2])
    torch.add(most[..., :-1], rows[..., 1:], alpha=0.25, out=large[..., 1:-1:2])
    large[..., 0], large[..., -1] = rows[..., 0], rows[..., -1]
    return large


def cell_means(image: Tensor, cell_px: int, *, reach: int = 2) -> Tensor:
    """Mean around each cell of `cell_px`² over (2 reach + 1)² cells, one value a cell."""
    return box_mean(block_mean(image, cell_px), reach)


def _enlarge(coarse: Tensor, like: Tensor) -> Tensor:
    return enlarge(coarse)[..., : like.shape[-2], : like.shape[-1]]

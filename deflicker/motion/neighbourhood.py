"""Means and maxima around each pixel, and lengths of vectors, by whole-row operations.

A CPU runs these several times as fast as torch's pooling and `norm`, which go pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over the (2 radius + 1)² pixels around each, of those inside: `[..., H, W]` → the same shape."""
    for dim in (-2, -1):
        image = _gathered(image, radius, dim, Tensor.add_) / _count(image, radius, dim)
    return image


def box_max(image: Tensor, radius: int) -> Tensor:
    """Largest of the (2 radius + 1)² pixels around each: `[..., H, W]` → the same shape."""
    for dim in (-2, -1):
        image = _gathered(image, radius, dim, lambda mine, other: torch.maximum(mine, other, out=mine))
    return image


def length(vectors: Tensor) -> Tensor:
    """Euclidean length of vectors of two components: `[B, 2, ...]` → `[B, 1, ...]`."""
    return torch.hypot(vectors[:, :1], vectors[:, 1:])


def _gathered(image: Tensor, radius: int, dim: int, into: Callable[[Tensor, Tensor], object]) -> Tensor:
    """Each pixel with its neighbours up to `radius` along one dimension, taken in one by one by `into`."""
    size = image.shape[dim]
    gathered = image.clone()
    for shift in range(1, min(radius, size - 1) + 1):
        into(gathered.narrow(dim, shift, size - shift), image.narrow(dim, 0, size - shift))
        into(gathered.narrow(dim, 0, size - shift), image.narrow(dim, shift, size - shift))
    return gathered


def _count(image: Tensor, radius: int, dim: int) -> Tensor:
    """How many pixels `_gathered` takes in, broadcast along `dim`."""
    size = image.shape[dim]
    place = torch.arange(size, device=image.device)
    count = 1 + place.clamp(max=radius) + (size - 1 - place).clamp(max=radius)
    return count.to(image.dtype).view(-1, 1) if dim == -2 else count.to(image.dtype)

"""Sampling along motion: warp, compose flows, and decide where a match can be trusted. Pure tensors.

Flow is `[B, 2, H, W]` in pixels (dx, dy): frame a's pixel x is found in frame b at x + flow(x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_ROUNDING = 1e-6
"""How far beyond ±1 rounding may put a target on the border."""


def target_grid(flow_px: Tensor) -> Tensor:
    """Where each pixel's match lies, in `grid_sample`'s units: `[B, H, W, 2]`, -1 … 1 from pixel centre to centre."""
    height, width = flow_px.shape[-2:]
    grid = flow_px.new_empty(flow_px.shape[0], height, width, 2)
    for axis, (place, unit) in enumerate(_places(flow_px)):
        # Written in place: stacking x and y takes seven times as long on a CPU.
        torch.add(place, flow_px[:, axis], alpha=unit, out=grid[..., axis])
    return grid


def _places(like: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Along x and y: where the pixels of `[..., H, W]` are, in `grid_sample`'s units, and a pixel in these."""
    for dim in (-1, -2):
        size = like.shape[dim]
        unit = 2 / max(size - 1, 1)
        place = torch.arange(size, device=like.device, dtype=like.dtype) * unit - 1
        yield (place if dim == -1 else place[:, None]), unit


def sample(image: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """`image [B, C, H, W]` at `grid [B, H', W', 2]`; outside positions take the border's value.

    The grid is clamped rather than padded with `border`, which not every device implements.
    """
    return F.grid_sample(image, grid.clamp(-1, 1), mode=mode, padding_mode="zeros", align_corners=True)


def warp(image: Tensor, flow_px: Tensor, mode: str = "bilinear") -> Tensor:
    """W(image): `image [B, C, H, W]` brought to the frame where `flow_px [B, 2, H, W]` starts."""
    grid = target_grid(flow_px).clamp_(-1, 1)
    return F.grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=True)


def inside(flow_px: Tensor) -> Tensor:
    """1 where a pixel's match lies inside the picture: `[B, 1, H, W]`."""
    within = torch.ones_like(flow_px[:, 0], dtype=torch.bool)
    for axis, (place, unit) in enumerate(_places(flow_px)):
        within &= torch.add(place, flow_px[:, axis], alpha=unit).abs_() <= 1 + _ROUNDING
    return within[:, None].to(flow_px.dtype)


def visibility(forward_px: Tensor, backward_px: Tensor, *, tolerance_px: float = 0.35) -> Tensor:
    """Forward-backward visibility `[B, 1, H, W]` in {0, 1}.

    A match counts where going there and back returns to within |f + b|² < 0.01 (|f|² + |b|²) + tolerance²
    (Sundaram, Brox, Keutzer, ECCV 2010) and where it lies inside the picture.
    """
    return round_trip(forward_px, backward_px, tolerance_px=tolerance_px)[0]


def round_trip(forward_px: Tensor, backward_px: Tensor, *, tolerance_px: float = 0.35) -> tuple[Tensor, Tensor]:
    """`visibility`, and |f + b| in pixels, how far from its start going there and back ends: `[B, 1, H, W]` each."""
    grid = target_grid(forward_px)
    back = sample(backward_px, grid)
    gap, there, again = (_squared(each) for each in (forward_px + back, forward_px, back))
    visible = (gap < 0.01 * (there + again) + tolerance_px**2).to(forward_px.dtype) * inside(forward_px)
    return visible, gap.sqrt()


def _squared(vectors: Tensor) -> Tensor:
    """Squared length: `[B, 2, ...]` → `[B, 1, ...]`."""
    return vectors[:, :1].square() + vectors[:, 1:].square()


def compose(first_px: Tensor, first_visible: Tensor, then_px: Tensor, then_visible: Tensor) -> tuple[Tensor, Tensor]:
    """Flow a→c and its visibility from a→b (`first`) and b→c (`then`), all `[B, 2|1, H, W]`."""
    grid = target_grid(first_px)
    onward = sample(torch.cat([then_px, then_visible], 1), grid)
    flow_px = first_px + onward[:, :2]
    visible = first_visible * (onward[:, 2:] > 0.9) * inside(flow_px)
    return flow_px, visible


def resize_flow(flow_px: Tensor, size: Sequence[int], *, antialias: bool = False) -> Tensor:
    """Flow `[B, 2, h, w]` at another size (height, width), in its pixels; bilinear."""
    scale = flow_px.new_tensor([size[1] / flow_px.shape[-1], size[0] / flow_px.shape[-2]]).view(1, 2, 1, 1)
    resized = F.interpolate(flow_px, size=tuple(size), mode="bilinear", align_corners=False, antialias=antialias)
    return resized * scale

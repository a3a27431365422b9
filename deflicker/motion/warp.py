"""Sampling along motion: warp, compose flows, and decide where a match can be trusted. Pure tensors.

Flow is `[B, 2, H, W]` in pixels (dx, dy): frame a's pixel x is found in frame b at x + flow(x).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def target_grid(flow_px: Tensor) -> Tensor:
    """Where each pixel's match lies, in `grid_sample`'s units: `[B, H, W, 2]`, -1 … 1 from pixel centre to centre."""
    height, width = flow_px.shape[-2:]
    ys = torch.arange(height, device=flow_px.device, dtype=flow_px.dtype)[:, None]
    xs = torch.arange(width, device=flow_px.device, dtype=flow_px.dtype)[None, :]
    x = (xs + flow_px[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (ys + flow_px[:, 1]) * (2 / max(height - 1, 1)) - 1
    return torch.stack([x, y], -1)


def sample(image: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """`image [B, C, H, W]` at `grid [B, H', W', 2]`; outside positions take the border's value.

    The grid is clamped rather than padded with `border`, which not every device implements.
    """
    return F.grid_sample(image, grid.clamp(-1, 1), mode=mode, padding_mode="zeros", align_corners=True)


def warp(image: Tensor, flow_px: Tensor, mode: str = "bilinear") -> Tensor:
    """W(image): `image [B, C, H, W]` brought to the frame where `flow_px [B, 2, H, W]` starts."""
    return sample(image, target_grid(flow_px), mode)


def inside(grid: Tensor) -> Tensor:
    """1 where a target lies inside the picture: `[B, 1, H, W]`."""
    return (grid.abs() <= 1).all(-1)[:, None].to(grid.dtype)


def visibility(forward_px: Tensor, backward_px: Tensor, *, tolerance_px: float = 0.35) -> Tensor:
    """Forward-backward visibility `[B, 1, H, W]` in {0, 1}.

    A match counts where going there and back returns to within |f + b|² < 0.01 (|f|² + |b|²) + tolerance²
    (Sundaram, Brox, Keutzer, ECCV 2010) and where it lies inside the picture.
    """
    grid = target_grid(forward_px)
    back = sample(backward_px, grid)
    gap = (forward_px + back).square().sum(1, keepdim=True)
    reach = forward_px.square().sum(1, keepdim=True) + back.square().sum(1, keepdim=True)
    return (gap < 0.01 * reach + tolerance_px**2).to(forward_px.dtype) * inside(grid)


def compose(first_px: Tensor, first_visible: Tensor, then_px: Tensor, then_visible: Tensor) -> tuple[Tensor, Tensor]:
    """Flow a→c and its visibility from a→b (`first`) and b→c (`then`), all `[B, 2|1, H, W]`."""
    grid = target_grid(first_px)
    onward = sample(torch.cat([then_px, then_visible], 1), grid)
    flow_px = first_px + onward[:, :2]
    visible = first_visible * (onward[:, 2:] > 0.9) * inside(target_grid(flow_px))
    return flow_px, visible

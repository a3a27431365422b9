"""Warping error: how far a frame is from its neighbour brought to it along motion.

`ewarp_mse` is Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018 (arXiv:1808.00449), equation 7, with the
occlusion mask of their code. `ewarp_l1` is the absolute error that Lei et al., Deep Video Prior, NeurIPS 2020
(arXiv:2010.11838), and those after them publish, short range and to the first frame. The two are not comparable, and
both reward blur.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.metrics.temporal_losses import flow_warp_loss
from deflicker.motion.warp import inside, sample, target_grid


def lai_visible(forward_px: Tensor, backward_px: Tensor) -> Tensor:
    """Lai's mask M `[n, 1, H, W]` in {0, 1}: 0 where a pixel is occluded, or lies on a motion boundary.

    forward_px: `[n, 2, H, W]`, t → t+1; backward_px: t+1 → t, which is brought to t. Occluded where
    |w̃ + ŵ|² > 0.01 (|w̃|² + |ŵ|²) + 0.5; on a boundary where |∇u|² + |∇v|² > 0.01 |ŵ|² + 0.002 (forward differences).
    Targets outside the picture, which have no sample to compare, count as occluded too.
    """
    grid = target_grid(forward_px)
    back = sample(backward_px, grid)
    length = forward_px.square().sum(1, keepdim=True)
    gap = (back + forward_px).square().sum(1, keepdim=True)
    occluded = gap > 0.01 * (back.square().sum(1, keepdim=True) + length) + 0.5
    across = F.pad(forward_px.diff(dim=-1), (0, 1)).square()
    down = F.pad(forward_px.diff(dim=-2), (0, 0, 0, 1)).square()
    boundary = (across + down).sum(1, keepdim=True) > 0.01 * length + 0.002
    return (~(occluded | boundary)).to(forward_px.dtype) * inside(forward_px)


def ewarp_mse(here: Tensor, brought: Tensor, mask: Tensor) -> Tensor:
    """Mean over pixels of the mask and colours of (W(V_{t+1}) − V_t)², `[n]`.

    here, brought: `[n, 3, H, W]` R'G'B' in [0, 1]; mask: `[n, 1, H, W]`, all pixels where it is empty.
    """
    return flow_warp_loss(here, brought, mask, power=2.0)


def ewarp_l1(here: Tensor, brought: Tensor, mask: Tensor) -> Tensor:
    """Mean over pixels of the mask and colours of |W(V_s) − V_t|, `[n]`; arguments as for `ewarp_mse`."""
    return flow_warp_loss(here, brought, mask)


def ewarp_l1_to(first: Tensor, here: Tensor, flow_px: Tensor, visible: Tensor) -> Tensor:
    """`ewarp_l1` against one far frame, such as the first of the shot: `[S]`, NaN where little of it is still seen.

    first, here: `[S, 3, H, W]`, S videos that share their motion; flow_px: `[1, 2, H, W]` from here to the far frame;
    visible: `[1, 1, H, W]`.
    """
    brought = sample(first, target_grid(flow_px).expand(len(first), -1, -1, -1))
    error = ewarp_l1(here, brought, visible.expand(len(first), -1, -1, -1))
    return torch.where(visible.mean() > 0.05, error, float("nan"))

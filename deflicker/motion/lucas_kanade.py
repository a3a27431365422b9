"""Flow made exact to a fraction of a pixel, as texture needs it: Lucas–Kanade steps on frames at their own size.

Lucas & Kanade, IJCAI 1981; gradients of both frames averaged, residuals weighted by a Cauchy function, normal equations
summed over cells. RAFT on a small frame says where to look; this says where exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.motion.filters import block_mean, box_mean, length, upsample_blocks
from deflicker.motion.warp import warp

_SUM_PX = 4
"""Side of the cells over which the normal equations are summed before they are smoothed."""
_REACH_CELLS = 2
"""Radius of the smoothing, twice a box of cells: 36 px in all, most of its weight within 20."""
_EVEN_CELLS = 4
"""Radius of the local mean that is taken off, in the same cells."""
_OUTLIER = 0.04
"""Residual of even luma at which a pixel counts half."""
_RIDGE = 1e-4
_NOISE_FRACTION = 0.1
"""Part of the residual's energy added to the diagonal: where noise is all there is, nothing moves."""
_LONGEST_STEP_PX = 0.5
_COARSE_STEPS = 2
"""Steps at half the size: a quarter of the work, and a wider look, which is worth 0.04 dB of boil more."""
_FINE_STEPS = 1


def even_luma(luma: Tensor) -> Tensor:
    """Luma `[T, 1, H, W]` in [0, 1] slightly blurred, less its local mean, over it: contrast without tone."""
    smooth = box_mean(box_mean(luma, 1), 1)
    mean = upsample_blocks(box_mean(block_mean(smooth, _SUM_PX), _EVEN_CELLS), _SUM_PX, luma.shape[-2:])
    return 0.35 * (smooth - mean) / (mean + 0.05)


def refine(first: Tensor, second: Tensor, flow_px: Tensor) -> Tensor:
    """Flow first → second `[B, 2, H, W]`, improved from `flow_px`: at half the size, then at the frames' own.

    first, second: `even_luma` of the two frames, `[B, 1, H, W]`.
    """
    smaller_px = block_mean(flow_px, 2) / 2
    moved_px = _steps(block_mean(first, 2), block_mean(second, 2), smaller_px, _COARSE_STEPS) - smaller_px
    return _steps(first, second, flow_px + 2 * upsample_blocks(moved_px, 2, first.shape[-2:]), _FINE_STEPS)


def _steps(first: Tensor, second: Tensor, flow_px: Tensor, steps: int) -> Tensor:
    """Lucas–Kanade steps at one size."""
    own_x, own_y = _gradients(first)
    for _ in range(steps):
        there = warp(second, flow_px)
        gradient_x, gradient_y = ((a + b) / 2 for a, b in zip(_gradients(there), (own_x, own_y), strict=True))
        error = first - there
        weight = 1 / (1 + (error / _OUTLIER).square())
        left, right = weight * gradient_x, weight * gradient_y
        products = [left * gradient_x, right * gradient_y, left * gradient_y, left * error, right * error]
        cells = torch.cat([block_mean(each, _SUM_PX) for each in (*products, weight * error.square(), weight)], 1)
        sums = box_mean(box_mean(cells, _REACH_CELLS), _REACH_CELLS)
        xx, yy, xy, xe, ye, energy, mass = sums.tensor_split(7, 1)
        ridge = _RIDGE + _NOISE_FRACTION * energy / mass.clamp_min(1e-3)
        xx, yy = xx + ridge, yy + ridge
        step = torch.cat([yy * xe - xy * ye, xx * ye - xy * xe], 1) / (xx * yy - xy.square())
        far_px = length(step).clamp_min(1e-6)
        step = step * (far_px.clamp(max=_LONGEST_STEP_PX) / far_px)
        flow_px = flow_px + upsample_blocks(step, _SUM_PX, first.shape[-2:])
    return flow_px


def _gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y."""
    return _difference(image, -1), _difference(image, -2)


def _difference(image: Tensor, dim: int) -> Tensor:
    """Central differences along a dimension; at its ends half of those to the one pixel beside."""
    size = image.shape[dim]
    change = torch.zeros_like(image)
    if size > 1:
        torch.sub(image.narrow(dim, 1, 1), image.narrow(dim, 0, 1), out=change.narrow(dim, 0, 1))
        torch.sub(image.narrow(dim, -1, 1), image.narrow(dim, -2, 1), out=change.narrow(dim, -1, 1))
        torch.sub(image.narrow(dim, 2, size - 2), image.narrow(dim, 0, size - 2), out=change.narrow(dim, 1, size - 2))
    return change.div_(2)

"""Guards: what must not change while flicker goes. Temporal scores alone would praise blur and a frozen picture.

Functions on one frame before and after, at any size. Luma is in code values of 255, R'G'B' in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.media.color import bt709_luma

BEST_DB = 99.0
"""PSNR of identical pictures."""
_GAMMA = 2.2
"""Power by which code values become light, near enough for an exposure in stops."""
_DARK = 0.01
"""Light, as a part of white, added to both: what happens in the dark is hardly seen."""
_CELL_PX = 8
_SSIM_SIGMA_PX, _SSIM_WINDOW_PX = 1.5, 11


def squared_error(before: Tensor, after: Tensor, *, peak: float = 255.0) -> Tensor:
    """Mean squared error relative to the squared peak, `[]`: any two tensors of one shape."""
    return ((after - before) / peak).square().mean()


def psnr(squared_errors: Tensor) -> Tensor:
    """PSNR in dB of mean squared errors relative to the squared peak, at most 99; errors `[N]` are pooled."""
    decibels: Tensor = -10 * squared_errors.nanmean().clamp_min(1e-12).log10()
    at_most: Tensor = decibels.clamp(max=BEST_DB)
    return at_most


def ssim(before: Tensor, after: Tensor, *, peak: float = 255.0) -> Tensor:
    """Structural similarity of two luma planes `[H, W]`, in [-1, 1].

    Wang et al., IEEE TIP 2004: Gaussian window of 11 px and σ = 1.5 px, K₁ = 0.01, K₂ = 0.03, valid pixels only.
    Filtered by kornia in one separable pass over all five moments; `kornia.metrics.ssim` gives the same number at four
    times the cost on a CPU.
    """
    from kornia.filters import gaussian_blur2d  # imported only by runs with a report: it takes a third of a second

    side = min(_SSIM_WINDOW_PX, *before.shape)
    side -= 1 - side % 2
    moments = torch.stack([before, after, before * before, after * after, before * after])[:, None]
    means = gaussian_blur2d(moments, (side, side), (_SSIM_SIGMA_PX, _SSIM_SIGMA_PX))
    height, width = before.shape
    rim = side // 2
    mean_x, mean_y, xx, yy, xy = means[:, 0, rim : height - rim, rim : width - rim]
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    var_x, var_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    index: Tensor = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    index = index / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return index.mean()


def changed_share(before: Tensor, after: Tensor) -> Tensor:
    """Share of samples that differ at all, in [0, 1]."""
    return (before != after).float().mean()


def detail(luma: Tensor) -> Tensor:
    """Gradient energy of a luma plane `[H, W]` relative to its squared mean, so that exposure is no sharpness."""
    energy = luma.diff(dim=-1).square().mean() + luma.diff(dim=-2).square().mean()
    return energy / luma.mean().clamp_min(1).square()


def sharpness_ratio(before: Tensor, after: Tensor) -> Tensor:
    """Detail after over detail before, median over frames: below 1 is blur, above 1 noise or sharpening.

    before, after: `[N]`, each frame's `detail`. NaN where there was no detail. The median, because the darkest frames
    of a flickering video have the largest relative detail, and would outweigh all others.
    """
    return torch.where(before > 0, after / before.clamp_min(1e-12), float("nan")).nanmedian()


def motion_ratio(before_px: Tensor, after_px: Tensor, *, floor_px: float = 0.1) -> Tensor:
    """Motion after over motion before, each pooled over pairs of frames: below 1 something was frozen.

    before_px, after_px: `[N]`, mean length of each pair's flow. The floor keeps a still picture's jitter from counting.
    """
    return (after_px.nanmean() + floor_px) / (before_px.nanmean() + floor_px)


def exposure_change(before: Tensor, after: Tensor) -> Tensor:
    """Largest change of exposure of any cell of 8 × 8 pixels in stops, `[n]`: R'G'B' `[n, 3, H, W]` in [0, 1].

    |log₂| of the ratio of the cells' light, luma to the power 2.2 plus 1 % of white.
    """
    luma = [bt709_luma(x)[:, None] for x in (before, after)]
    old, new = (F.avg_pool2d(x, _CELL_PX, ceil_mode=True, count_include_pad=False) ** _GAMMA + _DARK for x in luma)
    return (new / old).log2().abs().amax((1, 2, 3))

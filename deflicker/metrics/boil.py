"""Texture boil: how much the finest detail changes along trajectories, relative to how much detail there is.

0 is texture that moves with what it lies on; 1 is texture drawn anew in every frame. Motion by parts of a pixel blurs
what is compared, so that clean footage reaches some tenths; compare before with after, not one video with another.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.metrics.variance import sample_variance

BORDER_PX = 2
"""Rim of the picture where the filter sees what is not there, and the band means nothing."""
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def finest_band(luma: Tensor) -> Tensor:
    """What a 5-tap binomial filter takes away, the finest band of a Laplacian pyramid: `[n, 1, H, W]` → the same.

    Burt & Adelson, IEEE Trans. Communications 1983.
    """
    taps = luma.new_tensor(_BINOMIAL) / sum(_BINOMIAL)
    padded = F.pad(luma, (BORDER_PX,) * 4, mode="replicate")
    return luma - F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))


def interior(band: Tensor) -> Tensor:
    """1 where the band means something, 0 on the rim: `[n, 1, H, W]` like the band."""
    mask = torch.zeros_like(band)
    mask[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1
    return mask


def boil_parts(bands: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """(Σ of the variance along trajectories, Σ of the variance in space), `[n]` each; boil is their ratio.

    bands: `[K, n, 1, H, W]`, `finest_band` of K frames brought to the same place; visible: `[K, n, 1, H, W]` in [0, 1].
    Both sums are over points seen in all K frames.
    """
    seen = (visible.amin(0) > 0.999).to(bands.dtype)
    along = (sample_variance(bands) * seen).sum((1, 2, 3))
    across = (bands.square().mean(0) * seen).sum((1, 2, 3))
    return along, across


def texture_boil(along: Tensor, across: Tensor) -> Tensor:
    """Boil of a video from its frames' parts, those of NaN left out; NaN where there is no detail at all."""
    total = across.nansum()
    return torch.where(total > 0, along.nansum() / total.clamp_min(1e-12), float("nan"))

"""Texture boil: how much the finest detail changes along trajectories, relative to how much detail there is.

0 is texture that moves with what it lies on; 1 is texture drawn anew in every frame. Motion by parts of a pixel blurs
what is compared, so that clean footage reaches some tenths; compare before with after, not one video with another.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.metrics.variance import sample_variance, seen_in_all
from deflicker.motion.filters import sum_of

BORDER_PX = 2
"""Rim of the picture where the filter sees what is not there, and the band means nothing."""
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16)
"""Taps from the rim to the middle."""


def finest_band(luma: Tensor) -> Tensor:
    """What a 5-tap binomial filter takes away, the finest band of a Laplacian pyramid: `[n, 1, H, W]` → the same.

    Burt & Adelson, IEEE Trans. Communications 1983.
    """
    padded = F.pad(luma, (BORDER_PX,) * 4, mode="replicate")
    return luma - _blur(_blur(padded, -1), -2)


def _blur(image: Tensor, axis: int) -> Tensor:
    """Along one axis, shorter by the rim; sums of slices are faster than a convolution of one channel."""
    size = image.shape[axis] - 2 * BORDER_PX
    parts = [image.narrow(axis, place, size) for place in range(2 * BORDER_PX + 1)]
    outer, inner = parts[0] + parts[4], parts[1] + parts[3]
    return _BINOMIAL[0] * outer + _BINOMIAL[1] * inner + _BINOMIAL[2] * parts[2]


def interior(band: Tensor) -> Tensor:
    """1 where the band means something, 0 on the rim: `[n, 1, H, W]` like the band."""
    mask = torch.zeros_like(band)
    mask[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1
    return mask


def boil_parts(bands: Sequence[Tensor], visible: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(Σ of the variance along trajectories, Σ of the variance in space), `[n]` each; boil is their ratio.

    bands: K times `[n, 1, H, W]`, `finest_band` of K frames brought to the same place; visible: K times `[n, 1, H, W]`
    in [0, 1]. Both sums are over points seen in all K frames.
    """
    seen = (seen_in_all(visible) > 0.999).to(bands[0].dtype)
    along = (sample_variance(bands) * seen).sum((1, 2, 3))
    across = (sum_of([band.square() for band in bands]) / len(bands) * seen).sum((1, 2, 3))
    return along, across


def texture_boil(along: Tensor, across: Tensor) -> Tensor:
    """Boil of a video from its frames' parts, those of NaN left out; NaN where there is no detail at all."""
    total = across.nansum()
    return torch.where(total > 0, along.nansum() / total.clamp_min(1e-12), float("nan"))

"""Aligned differences, D_k = W_k y_{t+k} − y_t: where they are seen, whether their motion is sure, what is usual."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deflicker.correction.texture.laplacian import cell_means, shrink
from deflicker.motion.filters import sum_of, upsample_blocks

LEVELS = 4
"""Bands that may boil, from details of 2 px to details of 16 px; what is coarser is tone."""
SURE_PX = 0.15
"""Error of the flow, in pixels, at which half of it is doubted."""


def doubt_of(error_px: Tensor) -> Tensor:
    """0 where motion that may be wrong by so many pixels is certain, towards 1 where it is not."""
    squared = error_px.square()
    return squared / (squared + SURE_PX**2)


def visible_of(visible: Tensor) -> list[Tensor]:
    """Visibility at the size of each band and of the rest."""
    sizes = [visible]
    while len(sizes) <= LEVELS:
        sizes.append(shrink(sizes[-1]))
    return sizes


def usual_part(band: Tensor) -> Tensor:
    """Differences `[N, 1, H, W]` no larger than four times what is usual around them: thin things that pass are no
    boil.

    The usual comes from the mean logarithm, which a few large values do not move: for normal noise of variance σ²,
    E[log D²] = log σ² − 1.27.
    """
    energy = (band.square() + 1e-8).log().mean(0, keepdim=True)
    bound = upsample_blocks(4 * (cell_means(energy, 8) + 1.27).exp().sqrt(), 8, band.shape[-2:])
    return torch.minimum(torch.maximum(band, -bound), bound)


def products(band: Tensor, visible: Tensor, pairs: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Σ D_i D_j over pairs of rows and the visibility behind it, `[1, H, W]` each."""
    summed = sum_of([band[i] * band[j] for i, j in pairs])
    return summed, sum_of([visible[i] * visible[j] for i, j in pairs])

"""Energy of bands of detail, cells at large, and what a picture lacks of it: averages and crossings are no blur."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deflicker.correction.texture.laplacian import cell_means, merge_bands, split_bands
from deflicker.motion.filters import upsample_blocks

_CELL_PX = 8
"""Side, in pixels of each band, of the cells on which its energy is told; it is smoothed over 7 × 7 of them."""
_QUIET = 1e-7
"""Energy of a band that needs no raising."""


def energy(band: Tensor) -> Tensor:
    """Mean square around each pixel of `[1, C, H, W]`, the mean over colours: `[1, 1, H, W]`."""
    return smooth(band.square().mean(1, keepdim=True))


def smooth(values: Tensor) -> Tensor:
    """`[1, 1, H, W]` as it is around each pixel, on the same cells."""
    return upsample_blocks(cell_means(values, _CELL_PX, reach=3), _CELL_PX, values.shape[-2:])


def lacking(picture: Tensor, wanted: Sequence[Tensor], shares: Sequence[Tensor], most: float) -> Tensor:
    """What is to be added to a picture `[1, C, H, W]` so that its bands have the energies that are wanted of them.

    wanted, shares: `[1, 1, H_b, W_b]` of each band, finest first: its energy, and 0 … 1, how much of what is lacking is
    added; exactly 0 where that is 0. most: what a band's amplitude is multiplied with at most; it is never lowered.
    """
    bands = split_bands(picture.clamp(0, 1), len(wanted))
    added = [
        band * share * (((goal + _QUIET) / (energy(band) + _QUIET)).sqrt().clamp(1, most) - 1)
        for band, goal, share in zip(bands[:-1], wanted, shares, strict=True)
    ]
    return merge_bands([*added, torch.zeros_like(bands[-1])])

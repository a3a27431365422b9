"""How much detail of each size a picture has, and how to give it more or less of it.

The power spectrum is Welch's: means over windowed tiles (IEEE Trans. Audio Electroacoustics 15, 1967), here with a
median over tiles wherever two pictures are compared, so that one thing that moves does not count. What blurs or
sharpens a whole picture evenly multiplies its spectrum by |H(f)|²; a filter of the inverse gains, which shifts nothing,
takes it back (Gonzalez & Woods, Digital Image Processing, inverse filtering).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

TILE_PX = 64
"""Side of the tiles whose spectra are compared."""
EDGES = (2.0, 5.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0, 46.0)
"""Of the bands of frequency, in periods a tile. Blur hardly reaches the first band, which tells tone alone."""
BANDS = len(EDGES) - 1
ROUNDING = 1 / 12
"""Power that rounding to code values of 8 bits adds to every band."""
_MIDDLES = (*((low + high) / 2 for low, high in pairwise(EDGES[:-1])), 36.0)
"""Of the bands; in the last one most lies near its lower edge."""
_MARGIN_PX = 16
"""The picture is continued by so much before it is filtered."""


def tile_powers(luma: Tensor) -> Tensor | None:
    """Mean power of each band of frequency in each tile, `[tiles, 2, BANDS]`, in squared code values of 255 a pixel:
    of what changes from row to row more than from column to column, and of the rest.

    luma: `[1, H, W]` in [0, 1]. None for a picture that is smaller than a tile.
    """
    if min(luma.shape[-2:]) < TILE_PX:
        return None
    tiles = 255 * luma[0].unfold(0, TILE_PX, TILE_PX).unfold(1, TILE_PX, TILE_PX).flatten(0, 1)
    window, sums = _window(str(luma.device)), _band_sums(str(luma.device))
    spectrum: Tensor = torch.fft.rfft2((tiles - tiles.mean((-2, -1), keepdim=True)) * window)
    power: Tensor = torch.view_as_real(spectrum).square().sum(-1) / window.square().sum()
    return (power.flatten(1) @ sums).view(-1, 2, BANDS)


def change_of_detail(luma: Tensor, log_gains: Tensor) -> Tensor:
    """What a filter with the gains adds to a picture: `[1, H, W]`, like luma.

    log_gains: `[BANDS]`, natural logarithm of the gain at the middle of each band of frequency; the first one's is 0.
    """
    height, width = luma.shape[-2:]
    margin = min(_MARGIN_PX, height - 1, width - 1)
    padded = F.pad(luma[None], (margin,) * 4, mode="reflect")[0]
    padded = F.pad(padded[None], (0, -padded.shape[-1] % 32, 0, -padded.shape[-2] % 32), mode="replicate")[0]
    size = padded.shape[-2], padded.shape[-1]
    gain = _interpolated(log_gains, _frequencies(size, str(luma.device))).exp_().sub_(1)
    change: Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * gain, s=size)
    return change[..., margin : margin + height, margin : margin + width]


def _interpolated(log_gains: Tensor, frequency: Tensor) -> Tensor:
    """Gains at frequencies in periods a tile: linear between the middles of bands, 0 up to that of the first."""
    gains = torch.zeros_like(frequency)
    for (low, high), step in zip(pairwise(_MIDDLES), log_gains.diff(), strict=True):
        gains += step * ((frequency - low) / (high - low)).clamp(0, 1)
    return gains


@lru_cache(maxsize=4)
def _window(device: str) -> Tensor:
    """Hann's, `[TILE_PX, TILE_PX]`."""
    hann = torch.hann_window(TILE_PX, periodic=False)
    return torch.outer(hann, hann).to(device)


@lru_cache(maxsize=4)
def _band_sums(device: str) -> Tensor:
    """`[TILE_PX (TILE_PX / 2 + 1), 2 BANDS]`: takes the mean of a spectrum in each band, direction by direction."""
    size = TILE_PX, TILE_PX
    frequency, edges = _frequencies(size, "cpu").flatten()[:, None], torch.tensor(EDGES)
    rows, columns = _axes(size)
    upright = (rows.abs() > columns).flatten()[:, None]
    inside = (frequency >= edges[:-1]) & (frequency < edges[1:])
    parts = torch.cat([inside & upright, inside & ~upright], 1).float()
    return (parts / parts.sum(0)).to(device)


@lru_cache(maxsize=4)
def _frequencies(size: tuple[int, int], device: str) -> Tensor:
    """|f| of a real spectrum of pictures of a size, in periods a tile, `[H, W / 2 + 1]`."""
    return torch.hypot(*_axes(size)).to(device)


def _axes(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Frequencies across rows and across columns, `[H, W / 2 + 1]` both, in periods a tile."""
    rows, columns = torch.fft.fftfreq(size[0]) * TILE_PX, torch.fft.rfftfreq(size[1]) * TILE_PX
    along_rows, along_columns = torch.meshgrid(rows, columns, indexing="ij")
    return along_rows, along_columns

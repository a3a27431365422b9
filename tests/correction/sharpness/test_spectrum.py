"""Detail by frequency: what is measured of it, and what a filter takes back."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.sharpness.spectrum import BANDS, TILE_PX, change_of_detail, tile_powers
from tests.correction.scenes import rng, texture

SIGMA_PX = 0.7


def blurred(luma: Tensor) -> Tensor:
    """By a Gaussian."""
    taps = torch.exp(-0.5 * (torch.arange(-4, 5) / SIGMA_PX) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(luma[None], (4,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[0]


def test_the_power_of_white_noise_is_its_variance_in_every_band():
    noise = torch.randn(1, 512, 512, generator=rng(1)) * 3 / 255
    powers = tile_powers(noise)
    assert powers.shape == (64, 2, BANDS)
    assert torch.allclose(powers.mean(0), torch.full((2, BANDS), 9.0), rtol=0.12)


def test_what_changes_from_row_to_row_is_told_from_what_changes_from_column_to_column():
    stripes = (0.5 + 0.1 * torch.sin(torch.arange(128.0) * math.pi / 2)).expand(1, 128, 128)
    across, along = tile_powers(stripes).mean((0, 2))
    assert along > 1000 * across
    across, along = tile_powers(stripes.mT).mean((0, 2))
    assert across > 1000 * along


def test_a_picture_smaller_than_a_tile_has_no_spectrum():
    assert tile_powers(torch.rand(1, TILE_PX - 1, 300)) is None


@pytest.mark.parametrize("size", [(96, 128), (95, 127), (65, 333)])
def test_no_gain_changes_nothing_and_a_gain_raises_what_it_should(size):
    columns = torch.arange(size[1]) * (2 * math.pi * 10 / TILE_PX)  # 10 periods a tile, the middle of the third band
    luma = (0.5 + 0.1 * torch.cos(columns)).expand(1, *size).contiguous()
    gains = torch.zeros(BANDS)
    assert change_of_detail(luma, gains).abs().max() < 1e-6
    gains[2] = math.log(1.5)
    inner = (slice(None), slice(None), slice(24, -24))
    assert torch.allclose(change_of_detail(luma, gains)[inner], 0.5 * (luma - 0.5)[inner], atol=6e-3)


def test_blur_is_taken_back():
    luma = texture(160, 224)[:1]
    soft = blurred(luma)
    gains = (tile_powers(luma).mean((0, 1)) / tile_powers(soft).mean((0, 1))).log() / 2
    gains[0] = 0
    left = (soft + change_of_detail(soft, gains) - luma).square().mean()
    assert left < (soft - luma).square().mean() / 10

"""Texture boil: none where texture moves along, all where it is new; tone is no texture."""

import pytest
import torch

from deflicker.metrics.boil import BORDER_PX, boil_parts, finest_band, interior, texture_boil
from tests.correction.scenes import rng, texture

SHAPE = (5, 1, 1, 32, 32)


def boil(luma):
    """Of `[K, 1, 1, H, W]` that lie on each other already."""
    bands = finest_band(luma.flatten(0, 1)).view(luma.shape)
    return float(texture_boil(*boil_parts(bands, interior(bands.flatten(0, 1)).view(luma.shape))))


def test_by_hand():
    """Bands +1, −1 at one point and 1, 1 at another: variance 2 and 0, energy 1 and 1."""
    bands = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).view(2, 1, 1, 1, 2)
    along, across = boil_parts(bands, torch.ones_like(bands))
    assert (along.item(), across.item()) == pytest.approx((2, 2))
    assert float(texture_boil(along, across)) == pytest.approx(1)


def test_the_band_by_hand():
    """A single bright pixel keeps 1 − (6/16)² of itself; a ramp has no detail."""
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 1
    assert finest_band(point)[0, 0, 4, 4].item() == pytest.approx(1 - (6 / 16) ** 2)
    ramp = torch.arange(9.0).expand(1, 1, 9, 9)
    rim = slice(BORDER_PX, -BORDER_PX)
    assert finest_band(ramp)[..., rim, rim].abs().max() < 1e-5


def test_texture_that_stays_does_not_boil():
    assert boil(100 * texture(32, 32)[:1].expand(SHAPE)) == pytest.approx(0, abs=1e-6)


def test_a_pump_of_tone_hardly_counts():
    pump = 1 + 0.05 * torch.tensor([1.0, -1, 1, -1, 1]).view(5, 1, 1, 1, 1)
    assert boil(100 * texture(32, 32)[:1].expand(SHAPE) * pump) < 0.01


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_new_texture_counts_as_its_share_of_the_energy(share):
    steady = torch.randn(1, 1, 1, 96, 96, generator=rng(1)).expand(5, -1, -1, -1, -1)
    new = torch.randn(5, 1, 1, 96, 96, generator=rng(2))
    assert boil((1 - share) ** 0.5 * steady + share**0.5 * new) == pytest.approx(share, abs=0.03)


def test_flat_pictures_have_no_answer():
    assert boil(torch.full(SHAPE, 0.5)) != boil(torch.full(SHAPE, 0.5))  # NaN

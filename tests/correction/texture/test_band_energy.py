"""The energy of bands: what is lacking is given back, nothing is lowered, nothing added where nobody asks."""

import pytest
import torch

from deflicker.correction.texture.band_energy import energy, lacking
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import split_bands
from tests.correction.scenes import texture

SIZE = (128, 192)


def picture(seed=0):
    return texture(*SIZE, seed)[None]


def asked(of, shares=1.0):
    bands = split_bands(of, LEVELS)[:-1]
    return [energy(band) for band in bands], [torch.full_like(band[:, :1], shares) for band in bands]


def soft(image):
    return torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


def energies(image):
    return [float(band.square().mean()) for band in split_bands(image, LEVELS)[:-1]]


def test_energy_is_the_mean_square_around():
    band = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1)) * 0.3
    assert float(energy(band).mean()) == pytest.approx(0.09, rel=0.05)
    band[..., 100:] = 0
    assert float(energy(band)[..., 160:].max()) == 0


def test_what_blur_took_is_given_back():
    sharp = picture()
    dull = soft(sharp)
    given = dull + lacking(dull, *asked(sharp), 3.0)
    for whole, lost, back in zip(*map(energies, (sharp, dull, given)), strict=True):
        assert lost < 0.99 * whole
        assert lost + 0.3 * (whole - lost) < back < 1.3 * whole
    assert float((given - dull).mean()) == pytest.approx(0, abs=1e-3)


def test_nothing_is_lowered_and_no_more_is_added_than_is_allowed():
    sharp = picture()
    dull = soft(sharp)
    assert float(lacking(sharp, *asked(dull), 3.0).abs().max()) < 1e-5
    a_little = energies(dull + lacking(dull, *asked(sharp), 1.1))
    assert all(more <= 1.1**2 * 1.02 * less for more, less in zip(a_little, energies(dull), strict=True))


def test_where_nobody_asks_nothing_is_added():
    sharp = picture()
    dull = soft(sharp)
    assert torch.equal(lacking(dull, *asked(sharp, 0.0), 3.0), torch.zeros_like(dull))
    wanted, shares = asked(sharp)
    for share in shares:
        share[..., : share.shape[-1] // 2] = 0
    added = lacking(dull, wanted, shares, 3.0)
    assert float(added[..., : SIZE[1] // 2 - 16].abs().max()) == 0
    assert float(added[..., SIZE[1] // 2 + 16 :].abs().max()) > 0.005

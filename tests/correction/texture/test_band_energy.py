"""The energy of bands: what is lacking is given back, nothing is lowered, nothing added where nobody asks."""

import pytest
import torch

from deflicker.correction.texture.boil import blurred
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


def variances(value):
    sizes, cells = SIZE, []
    for _ in range(LEVELS):
        cells.append(torch.full((1, 1, -(-sizes[0] // 4), -(-sizes[1] // 4)), value))
        sizes = -(-sizes[0] // 2), -(-sizes[1] // 2)
    return cells


def test_averaging_keeps_what_is_no_boil():
    """A residual that takes more than the boil is blur, and is given back; one that takes the boil alone is not."""
    truth = picture()
    boil = 0.002 * torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(2))
    shown = truth + boil
    bands = [float(band.square().mean()) for band in split_bands(boil, LEVELS)[:-1]]
    measured = [cells * variance for cells, variance in zip(variances(1.0), bands, strict=True)]
    dulled = soft(truth) - shown
    back = dulled + blurred(shown, dulled, measured)
    before, after = energies(shown + dulled)[0], energies(shown + back)[0]
    assert after > 1.2 * before
    assert after <= 1.05 * energies(truth)[0]
    right = -boil.expand_as(truth)
    assert float(blurred(shown, right, measured).square().mean()) < 0.02 * float(boil.square().mean())


def test_what_was_not_touched_stays():
    shown = picture()
    residual = torch.zeros_like(shown)
    assert torch.equal(blurred(shown, residual, variances(1e-4)), residual)
    assert torch.equal(blurred(shown, residual, variances(0.0)), residual)

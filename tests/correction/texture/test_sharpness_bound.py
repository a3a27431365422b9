"""The bound on what averaging takes: energy of every band, in every region, against what is no boil."""

import pytest
import torch

from deflicker.correction.texture.comparison import regions
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import split_bands
from deflicker.correction.texture.sharpness_bound import SharpnessOptions, bound_sharpness

NOTHING = [torch.zeros(1, 1, 8, 8)] * LEVELS


def picture(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sum(
        torch.nn.functional.interpolate(
            0.1 * torch.randn(1, 1, 128 // s, 128 // s, generator=generator), size=(128, 128)
        )
        for s in (1, 2, 4, 8)
    )


def noise(seed):
    return torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(seed))


def blurred(image):
    return torch.nn.functional.avg_pool2d(image, 9, 1, 4)


def redrawn(boil):
    return [regions(band.square(), level) for level, band in enumerate(split_bands(boil, LEVELS)[:-1])]


def energies(bands):
    return [regions(band.square(), level) for level, band in enumerate(bands[:-1])]


def held(own, change, drawn=NOTHING, **options):
    own, change = split_bands(own, LEVELS), split_bands(change, LEVELS)
    return own, bound_sharpness(own, change, drawn, SharpnessOptions(**options))


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_no_region_loses_more_than_the_bound(share):
    """What is no boil stays, however much of it the change would take."""
    own, change = held(picture(), -share * picture())
    for before, after in zip(energies(own), energies([a + b for a, b in zip(own, change, strict=True)]), strict=True):
        assert float((after / before).min()) > 0.93
        assert float((after / before).max()) < 1.07


def test_what_is_sharp_enough_is_left_as_it_is():
    frame = picture()
    added = 0.01 * picture(7)
    _, change = held(frame, added)
    for one, other in zip(change, split_bands(added, LEVELS), strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


def test_no_change_is_none():
    _, change = held(picture(), torch.zeros(1, 1, 128, 128))
    assert all(float(band.abs().max()) == 0 for band in change)


def test_coarse_boil_may_go():
    """Blobs of 8 px on a picture, known to be boil, and a change that takes exactly them."""
    still, blobs = picture(), 0.05 * blurred(noise(4))
    _, change = held(still + blobs, -blobs, redrawn(blobs))
    for level, left in ((2, 0.15), (3, 0.05)):
        boil = split_bands(blobs, LEVELS)[level]
        assert float((change[level] + boil).square().mean()) < left * float(boil.square().mean())


def test_noise_over_flat_ground_may_go_in_every_band():
    grain = 0.02 * noise(4)
    _, change = held(grain, -0.9 * grain, redrawn(grain))
    for taken, boil in zip(change[:-1], split_bands(grain, LEVELS)[:-1], strict=True):
        assert float((taken + boil).square().mean()) < 0.25 * float(boil.square().mean())


def test_fine_texture_that_is_redrawn_in_part_keeps_its_energy():
    """Half of the finest energy is new in the frame: averaging would take it, and the foliage with it."""
    half = [0.5 * energy for energy in energies(split_bands(picture(), LEVELS))]
    own, change = held(picture(), -0.4 * picture(), half)
    after = energies([a + b for a, b in zip(own, change, strict=True)])[0] / energies(own)[0]
    assert float(after.mean()) > 0.9


def test_the_rest_is_kept_whatever_is_redrawn():
    own, change = held(picture(), -picture(), energies(split_bands(picture(), LEVELS)))
    for before, after in zip(energies(own), energies([a + b for a, b in zip(own, change, strict=True)]), strict=True):
        assert float((after / before).mean()) > 0.08

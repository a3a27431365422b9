"""The bound on what averaging takes: energy of every band, in every region, against what is no boil."""

import pytest
import torch

from deflicker.correction.texture.compared import regions
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.kept_sharp import SharpnessOptions, kept_sharp
from deflicker.correction.texture.laplacian import split_bands

NOTHING = [torch.zeros(1, 1, 8, 8)] * LEVELS


def picture(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return sum(
        torch.nn.functional.interpolate(
            0.1 * torch.randn(1, 1, 128 // s, 128 // s, generator=generator), size=(128, 128)
        )
        for s in (1, 2, 4, 8)
    )


def energies(bands):
    return [regions(band.square(), level) for level, band in enumerate(bands[:-1])]


def held(own, change, drawn=NOTHING, **options):
    own, change = split_bands(own, LEVELS), split_bands(change, LEVELS)
    return own, kept_sharp(own, change, drawn, SharpnessOptions(**options))


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


def test_boil_may_go():
    """Grain on a picture, known to be boil, and a change that takes exactly it."""
    still, grain = picture(), 0.02 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(4))
    drawn = [regions(band.square(), level) for level, band in enumerate(split_bands(grain, LEVELS)[:-1])]
    _, change = held(still + grain, -grain, drawn)
    taken = change[0] + split_bands(grain, LEVELS)[0]
    assert float(taken.square().mean()) < 0.1 * float(split_bands(grain, LEVELS)[0].square().mean())


def test_what_is_strong_is_no_boil():
    """Of texture that is drawn anew altogether hardly anything may go."""
    frame = picture()
    everything = [regions(band.square(), level) for level, band in enumerate(split_bands(frame, LEVELS)[:-1])]
    own, change = held(frame, -frame, everything)
    for before, after in zip(energies(own), energies([a + b for a, b in zip(own, change, strict=True)]), strict=True):
        assert float((after / before).mean()) > 0.7


def test_a_rest_is_kept_whatever_passes_for_boil():
    frame = 0.1 * picture()
    everything = [regions(band.square(), level) for level, band in enumerate(split_bands(frame, LEVELS)[:-1])]
    own, change = held(frame, -frame, everything)
    for before, after in zip(energies(own), energies([a + b for a, b in zip(own, change, strict=True)]), strict=True):
        assert float((after / before).mean()) > 0.2

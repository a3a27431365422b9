"""The pyramid: linear maps, each the other's transpose, that keep a constant where it is."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deflicker.correction.tone.pyramid import Pyramid, interpolation, level_sizes
from tests.correction.scenes import rng

SIDE = st.integers(1, 40)


@settings(deadline=None, max_examples=60)
@given(SIDE, SIDE)
@example(1, 1)
@example(1, 17)
@example(2, 2)
def test_levels_halve_to_one_value(height, width):
    sizes = level_sizes(height, width)
    assert sizes[0] == (height, width)
    assert sizes[-1] == (1, 1)
    for (tall, wide), (lower, narrower) in itertools.pairwise(sizes):
        assert (lower, narrower) in {((tall + 1) // 2, (wide + 1) // 2), (1, 1)}
        assert lower * narrower < tall * wide


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40))
def test_interpolation_is_a_mean_of_two(coarse, fine):
    matrix = interpolation(coarse, fine)
    assert matrix.shape == (fine, coarse)
    assert matrix.min() >= 0
    torch.testing.assert_close(matrix.sum(1), torch.ones(fine))
    assert ((matrix > 0).sum(1) <= 2).all()
    if fine == coarse:
        assert torch.equal(matrix, torch.eye(fine))


@settings(deadline=None, max_examples=40)
@given(SIDE, SIDE)
@example(1, 1)
@example(1, 9)
@example(9, 1)
def test_collect_is_the_transpose_of_expand(height, width):
    pyramid, random = Pyramid(height, width), rng(height * 100 + width)
    for level, size in enumerate(pyramid.sizes):
        values = torch.randn(2, 3, *size, generator=random)
        field = torch.randn(2, 3, height, width, generator=random)
        there, back = pyramid.expand(level, values), pyramid.collect(level, field)
        assert there.shape == field.shape
        assert back.shape == values.shape
        scale = float(there.norm() * field.norm())
        assert float((there * field).sum() - (values * back).sum()) == pytest.approx(0, abs=1e-5 * scale)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 7), (12, 16)])
def test_a_constant_stays_one_and_is_global(size):
    pyramid = Pyramid(*size)
    for level, inner in enumerate(pyramid.sizes):
        torch.testing.assert_close(pyramid.expand(level, torch.full((1, *inner), 0.7)), torch.full((1, *size), 0.7))
    weight = 0.2 + 0.8 * torch.rand(4, 3, *size, generator=rng(0))
    *finer, (mean, mean_weight) = pyramid.split(torch.full((4, 3, *size), -0.3), weight)
    for band, _ in finer:
        torch.testing.assert_close(band, torch.zeros_like(band), atol=1e-6, rtol=0)
    torch.testing.assert_close(mean, torch.full((4, 3, 1, 1), -0.3))
    torch.testing.assert_close(mean_weight, weight.mean((2, 3), keepdim=True))


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 7), (12, 16)])
def test_bands_add_up_to_the_finest_mean(size):
    """The finest level has the cells' own size, so with full weight the bands are the field again."""
    field = torch.randn(2, 3, *size, generator=rng(1))
    pyramid = Pyramid(*size)
    bands = pyramid.split(field, torch.ones_like(field))
    assert [band.shape[-2:] for band, _ in bands] == pyramid.sizes
    total = bands[-1][0]
    for level in range(len(bands) - 2, -1, -1):
        band = bands[level][0]
        rows = interpolation(total.shape[-2], band.shape[-2])
        columns = interpolation(total.shape[-1], band.shape[-1])
        total = band + rows @ total @ columns.T
    torch.testing.assert_close(total, field, atol=1e-5, rtol=1e-5)
    for _, weight in bands:
        torch.testing.assert_close(weight, torch.ones_like(weight))


def test_what_weighs_nothing_does_not_enter_a_band():
    pyramid = Pyramid(8, 8)
    field = torch.randn(1, 3, 8, 8, generator=rng(2))
    weight = torch.ones_like(field)
    weight[..., :4] = 0
    spoilt = torch.where(weight > 0, field, torch.full_like(field, 9.0))
    for (clean, w), (dirty, _) in zip(pyramid.split(field, weight), pyramid.split(spoilt, weight), strict=True):
        torch.testing.assert_close(clean * w, dirty * w)


def test_larger_patches_show_in_coarser_bands():
    pyramid, centres = Pyramid(16, 16), []
    for size in (1, 2, 4, 8):
        checkers = torch.arange(16) // size % 2 * 2.0 - 1
        bands = pyramid.split((checkers[:, None] * checkers)[None, None], torch.ones(1, 1, 16, 16))
        power = torch.stack([band.square().mean() for band, _ in bands])
        assert power[-1] < 1e-10
        centres.append(float((power * torch.arange(len(bands))).sum() / power.sum()))
    assert centres == sorted(centres)
    assert centres[-1] > centres[0] + 0.8

"""Bands add up to the picture again, at any size, and hold what they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deflicker.correction.texture.laplacian import cell_means, merge_bands, shrink, split_bands
from deflicker.motion.filters import upsample_blocks


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 4))
def test_merging_undoes_splitting(height, width, levels):
    image = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(height * 41 + width))
    bands = split_bands(image, levels)
    assert len(bands) == levels + 1
    assert torch.allclose(merge_bands(bands), image, atol=1e-6)


def test_a_flat_picture_has_no_detail():
    bands = split_bands(torch.full((1, 1, 24, 16), 0.3), 3)
    assert all(torch.allclose(band, torch.zeros_like(band), atol=1e-7) for band in bands[:-1])
    assert torch.allclose(bands[-1], torch.full((1, 1, 3, 2), 0.3))


def test_a_chequerboard_is_all_in_the_finest_band():
    board = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8)[None, None]
    finest, coarser, _ = split_bands(board, 2)
    assert torch.allclose(finest, board - 0.5)
    assert coarser.abs().max() < 1e-6


def test_shrinking_takes_means_and_rounds_up():
    assert shrink(torch.tensor([[1.0, 3.0, 5.0]])[None, None]).tolist() == [[[[2.0, 5.0]]]]


def test_cell_means_are_those_of_the_cells_around():
    """One of 7 × 7 cells holds 25, seen from itself by 5 × 5 of them."""
    image = torch.zeros(1, 1, 28, 28)
    image[..., 12:16, 12:16] = 25.0
    around = cell_means(image, 4)
    assert around.shape == (1, 1, 7, 7)
    assert float(around[..., 3, 3]) == pytest.approx(1)
    assert float(around[..., 0, 0]) == 0


def test_cells_spread_to_every_pixel():
    cells = torch.tensor([[1.0, 3.0]])[None, None]
    assert upsample_blocks(cells, 2, (1, 3))[0, 0].tolist() == [[1.0, 1.5, 2.5]]

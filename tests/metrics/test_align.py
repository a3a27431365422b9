"""Aligned samples: the same point, whatever moves, and nothing where there is no frame."""

import pytest
import torch

from deflicker.metrics.align import align, masked_mean, to_ycc, where_exists
from tests.correction.scenes import matches, pan

STEP = (2, 1)


@pytest.mark.parametrize("offset", [1, -1, 2, -2])
def test_a_pan_is_brought_onto_itself(offset):
    frames = pan(8, 48, 64, step=STEP)
    found = align(frames, matches(frames, STEP, (1, 2)), offset, 2, 6)
    assert found.exists.all()
    assert found.visible.mean() > 0.85
    assert ((found.samples - frames[2:6]).abs() * found.visible).max() < 1e-5


def test_where_there_is_no_frame():
    frames = pan(6, 48, 64, step=STEP)
    found = align(frames, matches(frames, STEP, (1, 2)), 2, 0, 6)
    assert found.exists.tolist() == [True] * 4 + [False] * 2
    assert found.visible[4:].sum() == found.samples[4:].abs().sum() == 0
    values = where_exists(torch.ones(6, 3), found)
    assert values.isnan().all(1).tolist() == [False] * 4 + [True] * 2


def test_without_any_match_nothing_exists():
    assert not align(torch.ones(1, 3, 16, 16), {}, 1, 0, 1).exists.any()


@pytest.mark.parametrize(
    ("rgb", "ycc"),
    [
        ((1, 1, 1), (255, 0, 0)),
        ((1, 0, 0), (54.213, -29.21, 127.5)),
        ((0, 0, 1), (18.411, 127.5, -11.69)),
    ],
)
def test_colours_of_bt709(rgb, ycc):
    frame = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)
    assert to_ycc(frame).flatten().tolist() == pytest.approx(ycc, abs=0.02)


def test_mean_over_the_mask_or_over_all_where_it_is_empty():
    values = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(1, 1, 2, 2).expand(2, 3, 2, 2)
    mask = torch.zeros(2, 1, 2, 2)
    mask[0, 0, 0] = 1
    assert masked_mean(values, mask).tolist() == [2, 4]

"""Seams: a step that stays is one; flicker, fades, ramps and a flash are none."""

import pytest
import torch

from deflicker.metrics.seams import find_seams, seam_period, tone_step
from tests.correction.scenes import rng


def seams(tone):
    """Of a shot whose tone is this, in levels of 255."""
    tone = torch.as_tensor(tone, dtype=torch.float32)
    return find_seams(tone.diff().view(-1, 1))


def chunks(every, count, size=4.0, frames=64):
    return [size * ((at // every) % count) for at in range(frames)]


def test_tone_step_by_hand():
    """Two visible pixels rise by 2 and 4, a hidden one by 100."""
    here = torch.zeros(1, 1, 1, 3)
    later = torch.tensor([2.0, 4.0, 100.0]).view(1, 1, 1, 3)
    visible = torch.tensor([1.0, 1, 0]).view(1, 1, 1, 3)
    assert tone_step(here, later, visible).tolist() == [[3]]


@pytest.mark.parametrize("size", [2.0, -5.0, 20.0])
def test_a_step_that_stays(size):
    assert seams([0.0] * 10 + [size] * 10) == [10]


def test_a_step_nobody_sees():
    assert seams([0.0] * 10 + [1.4] * 10) == []


def test_at_the_very_ends():
    assert seams([0, 5, 5, 5, 5, 5]) == [1]
    assert seams([]) == seams([3.0]) == seams([1.0, 1.0]) == []


@pytest.mark.parametrize("every", [8, 16])
def test_chunks(every):
    found = seams(chunks(every, 2))
    assert found == list(range(every, 64, every))
    assert seam_period(found) == every


@pytest.mark.parametrize("seed", range(5))
def test_flicker_is_no_seam(seed):
    assert seams(3 * torch.randn(200, generator=rng(seed))) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_seam_under_flicker(seed):
    flicker = 0.5 * torch.randn(48, generator=rng(seed))
    assert seams(flicker + torch.tensor([0.0] * 20 + [6.0] * 28)) == [20]


@pytest.mark.parametrize("slope", [0.5, 2.0, 10.0])
def test_a_fade_is_no_seam(slope):
    assert seams(slope * torch.arange(40.0)) == []


def test_a_flash_is_no_seam():
    assert seams([0.0] * 10 + [60.0] + [0.0] * 10) == []


def test_a_seam_in_a_fade():
    assert seams(torch.arange(40.0) + torch.tensor([0.0] * 20 + [12.0] * 20)) == [20]


def test_any_channel_counts():
    steps = torch.zeros(20, 3)
    steps[9, 2] = 5
    assert find_seams(steps) == [10]


@pytest.mark.parametrize(
    ("found", "period"),
    [
        ([16, 32, 48], 16),
        ([15, 32, 47, 64], 16),
        ([16, 32, 64, 80], 16),
        ([5, 11, 30], None),
        ([16, 32], None),
        ([], None),
    ],
)
def test_period(found, period):
    assert seam_period(found) == period

"""Pulses of sharpness are told from all that a camera does by their period."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.sharpness.pulses import find_pulses
from deflicker.correction.sharpness.spectrum import BANDS
from tests.correction.scenes import rng

PICTURES = 28


def steps_of(levels: list[float], directions: tuple[float, float] = (1.0, 1.0), noise: float = 0.02) -> Tensor:
    """Steps between pictures whose sharpness repeats, by frequency: none of the lowest, most of the highest."""
    course = torch.tensor([levels[t % len(levels)] for t in range(PICTURES)], dtype=torch.float64)
    by_band = torch.linspace(0, 1, BANDS, dtype=torch.float64)
    detail = course.view(-1, 1, 1) * torch.tensor(directions, dtype=torch.float64).view(1, 2, 1) * by_band
    return (detail + noise * torch.randn(detail.shape, generator=rng(3))).diff(dim=0)


def steadied(levels: list[float]) -> list[float | None]:
    """What is added to the sharpness of each of the levels; row 0 of the steps leads to the second one."""
    pulses = find_pulses(steps_of(levels))
    assert pulses is not None
    assert pulses.period == len(levels)
    gains = [None if each is None else each[-1].item() for each in pulses.log_gains]
    return [gains[-1], *gains[:-1]]


def test_of_every_second_picture_the_soft_one_is_sharpened():
    sharp, soft = steadied([0.0, -0.6])
    assert sharp is None
    assert soft == pytest.approx(0.6, abs=0.05)


def test_one_sharp_picture_in_four_becomes_like_the_others():
    usual, odd, *rest = steadied([0.0, 0.5, 0.0, 0.0])
    assert odd == pytest.approx(-0.5, abs=0.05)
    assert (usual, rest) == (None, [None, None])


def test_pictures_that_grow_softer_after_a_key_become_like_the_key():
    levels = [0.0, -0.1, -0.25, -0.4, -0.6, -0.8, -0.9, -1.0]
    found = steadied(levels)
    assert found[:2] == [None, None]
    assert found[2:] == pytest.approx([-level for level in levels[2:]], abs=0.12)


@pytest.mark.parametrize("period", [2, 3, 5, 7, 10])
def test_every_period_is_found_as_itself(period):
    pulses = find_pulses(steps_of([0.6] + [0.0] * (period - 1)))
    assert pulses is not None
    assert pulses.period == period


def test_a_camera_is_left_alone():
    focus = torch.randn(PICTURES, 2, BANDS, generator=rng(5), dtype=torch.float64).cumsum(0) * 0.1
    shake = torch.zeros(PICTURES, 2, BANDS, dtype=torch.float64)
    shake[[3, 4, 11, 16, 17, 25]] = -0.6
    for course in (focus, shake):
        assert find_pulses(course.diff(dim=0)) is None


def test_blur_of_one_direction_is_motion():
    assert find_pulses(steps_of([0.0, -0.6, 0.0, -0.1], directions=(1.0, 0.3))) is None
    assert find_pulses(steps_of([0.0, -0.6, 0.0, -0.1], directions=(1.0, 0.8))) is not None


def test_the_faint_pulses_of_codecs_stay():
    assert find_pulses(steps_of([0.15, 0.0, 0.0, 0.0], noise=0.002)) is None


def test_two_periods_are_too_few():
    assert find_pulses(steps_of([0.6] + [0.0] * 9)[:18]) is None
    assert find_pulses(torch.zeros(0, 2, BANDS)) is None

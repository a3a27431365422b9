"""A course of tone is divided into flat parts and ramps, and measured along motion."""

import pytest
import torch

from deflicker.correction.tone.ramps import find_ramps, light_and_colour
from deflicker.correction.tone.tone_course import tone_course
from tests.correction.scenes import rng, tone_steps


@pytest.mark.parametrize("lags", [(1, 2), (1, 2, 4)])
def test_the_course_is_what_tone_does(lags):
    tone = torch.randn(20, 3, 10, 10, generator=rng(1)) * 0.1
    course = tone_course(tone_steps(tone, lags), torch.ones(19), torch.zeros(20, 3, 10, 10))
    assert course is not None
    assert course.shape == (19, 3, 26)
    assert torch.allclose(course[..., 0], tone.mean((2, 3)).diff(dim=0), atol=2e-3)
    assert torch.allclose(course[..., 1], tone[..., :2, :2].mean((2, 3)).diff(dim=0), atol=0.02)


def test_ramps_are_found_where_they_are():
    course = 4e-4 * torch.randn(40, 3, generator=rng(2))
    course[8:13] += torch.tensor([0.010, 0.003, 0.0])
    course[15:25] += torch.tensor([-0.006, 0.0, 0.002])
    ramps = find_ramps(course)
    assert [(ramp.start, ramp.end) for ramp in ramps] == [(8, 13), (15, 25)]
    assert torch.allclose(ramps[0].change, course[8:13].sum(0))


@pytest.mark.parametrize("frames", [1, 5, 12, 60])
def test_noise_has_no_ramps(frames):
    assert find_ramps(1e-3 * torch.randn(frames, 3, generator=rng(3))) == []


def test_light_and_colour_keep_the_mean_square():
    gain = torch.randn(50, 3, generator=rng(4))
    assert torch.allclose(light_and_colour(gain).square().sum(1), gain.square().mean(1), atol=1e-5)
    assert torch.allclose(light_and_colour(torch.full((1, 3), 0.3)), torch.tensor([[0.3, 0.0, 0.0]]), atol=1e-6)

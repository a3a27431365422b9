"""The steps' own errors, from the loops they do not close."""

import pytest
import torch

from deflicker.correction.tone.pyramid import Pyramid
from deflicker.correction.tone.uncertainty import closure_error, level_noise, step_noise
from tests.correction.scenes import rng, tone_steps


def test_noise_of_steps_is_what_loops_miss():
    """Steps of a random course close their loops; independent errors of steps do not, and are measured."""
    course = torch.randn(400, 3, 1, 1, generator=rng(2)).expand(400, 3, 1, 16)
    steps = tone_steps(course, (1, 2, 4))
    assert all(float(each) < 1e-10 for each in step_noise(steps).values())
    random = rng(3)
    for offset, sd in ((1, 0.01), (2, 0.02), (4, 0.05)):
        steps[offset].log_ratio.add_(sd * torch.randn(len(steps[offset].log_ratio), 3, 1, 1, generator=random))
    noise = step_noise(steps)
    # d₂ − d₁ − d₁ has 0.02² + 2 · 0.01² = 6e-4, of which a quarter and a half are taken.
    assert float(noise[1]) == pytest.approx(1.5e-4, rel=0.15)
    assert float(noise[2]) == pytest.approx(3e-4, rel=0.15)
    assert float(noise[4]) == pytest.approx(0.05**2 + 2 * 0.02**2 - 2 * 3e-4, rel=0.15)


def test_a_gap_weighs_what_its_three_steps_do():
    steps = tone_steps(torch.randn(6, 3, 2, 3, generator=rng(0)), (1, 2))
    for offset, weight in ((1, 0.5), (2, 0.2)):
        steps[offset].weight.fill_(weight)
    error, weight = closure_error(steps, 2)
    torch.testing.assert_close(error, torch.zeros(4, 3, 2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(weight, torch.full((4, 3, 2, 3), 0.05))


def test_flicker_of_a_level_is_no_noise():
    steps = tone_steps(torch.randn(50, 3, 6, 8, generator=rng(1)))
    assert level_noise(steps, Pyramid(6, 8)).max() < 1e-10


def test_noise_is_told_level_by_level():
    """Errors that the whole picture shares are the last level's; errors of cells by themselves average out of it."""
    pyramid, frames = Pyramid(8, 8), 300
    shared, apart = (tone_steps(torch.zeros(frames, 3, 8, 8)) for _ in range(2))
    random = rng(4)
    for offset, sd in ((1, 0.01), (2, 0.01 * 2**0.5)):
        n = len(shared[offset].log_ratio)
        shared[offset].log_ratio.add_(sd * torch.randn(n, 3, 1, 1, generator=random))
        apart[offset].log_ratio.add_(sd * torch.randn(n, 3, 8, 8, generator=random))
    *finer, whole = level_noise(shared, pyramid).tolist()
    assert whole == pytest.approx(1e-4, rel=0.15)
    assert max(finer) < 1e-10
    cell, *_, mean = level_noise(apart, pyramid).tolist()
    assert mean == pytest.approx(1e-4 / 64, rel=0.2)
    assert 0.5e-4 < cell < 1e-4

"""Temporal variance: the textbook number, at fixed pixels and along motion."""

import pytest
import torch

from deflicker.metrics.variance import PixelVariance, sample_variance, trajectory_variance
from tests.correction.scenes import pan, rng


def of(frames):
    variance = PixelVariance()
    for frame in frames:
        variance.add(frame)
    return variance


def test_by_hand():
    """1, 2, 6: mean 3, σ² = (4 + 1 + 9) / 3."""
    found = of([torch.tensor([[value]]) for value in (1.0, 2.0, 6.0)])
    assert found.frames == 3
    assert found.value().item() == pytest.approx(14 / 3)


def test_one_frame_has_none():
    assert PixelVariance().value() is None
    assert of([torch.ones(2, 2)]).value() is None


def test_streamed_is_what_all_at_once_gives():
    frames = torch.rand(50, 4, 4, generator=rng(0)) + 1000
    assert torch.allclose(of(frames).value(), frames.var(0, correction=0), rtol=1e-2)


def test_motion_counts_at_fixed_pixels():
    assert of(pan(8, 32, 32, step=(0, 0))).value().max() < 1e-12
    assert of(pan(8, 32, 32, step=(2, 1))).value().mean() > 1e-4


def test_along_trajectories_by_hand():
    """Three samples of two points: 0, 3, 6 (variance 9) and 5, 5, 8 (variance 3)."""
    samples = torch.tensor([[0.0, 5.0], [3.0, 5.0], [6.0, 8.0]]).view(3, 1, 1, 1, 2)
    seen = torch.ones(3, 1, 1, 1, 2)
    assert trajectory_variance(samples, seen).tolist() == pytest.approx([6])
    seen[1, ..., 1] = 0
    assert trajectory_variance(samples, seen).tolist() == pytest.approx([9])
    assert trajectory_variance(samples, 0 * seen).isnan().all()


def test_sample_variance_is_torch_s():
    samples = torch.rand(5, 3, 4, generator=rng(0))
    assert torch.allclose(sample_variance(samples), samples.var(0, correction=1))


def test_number_of_samples_is_no_matter():
    noise = torch.randn(1000, 1, 1, 8, 8, generator=rng(0))
    few = torch.stack([trajectory_variance(part, torch.ones_like(part)) for part in noise.split(5)]).mean()
    assert few == pytest.approx(float(trajectory_variance(noise, torch.ones_like(noise))), rel=0.05)

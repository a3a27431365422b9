"""Fréchet distance: closed forms, and what moves it."""

import pytest
import torch

from deflicker.metrics.frechet import FeatureSums, frechet_distance
from tests.correction.scenes import rng


def normal(mean, covariance):
    return torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(covariance, dtype=torch.float64)


def test_one_dimension_by_hand():
    """d² = (μ₁ − μ₂)² + (σ₁ − σ₂)² = 9 + 4."""
    assert frechet_distance(normal([1.0], [[1.0]]), normal([4.0], [[9.0]])).item() == pytest.approx(13)


def test_commuting_covariances():
    """For diagonal ones d² = |Δμ|² + Σ (√a − √b)²."""
    first = normal([0.0, 0, 0], torch.diag(torch.tensor([1.0, 4.0, 0.0])))
    second = normal([1.0, 0, 2], torch.diag(torch.tensor([9.0, 1.0, 0.0])))
    assert frechet_distance(first, second).item() == pytest.approx(5 + 4 + 1)


def test_covariances_that_do_not_commute():
    """2 × 2: tr √M = √(tr M + 2 √det M) for M = Σ₁ Σ₂."""
    a, b = torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double(), torch.tensor([[4.0, -1.0], [-1.0, 1.0]]).double()
    product = a @ b
    root = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = a.trace() + b.trace() - 2 * root
    assert frechet_distance(normal([0, 0], a), normal([0, 0], b)).item() == pytest.approx(float(expected))


def test_equal_sets_are_no_distance_apart_and_few_features_do_no_harm():
    sums = FeatureSums(8)
    sums.add(torch.randn(5, 8, generator=rng(0)))
    assert frechet_distance(sums.moments(), sums.moments()).item() == pytest.approx(0, abs=1e-6)


def test_moments_are_numpy_s():
    features = torch.randn(40, 6, generator=rng(0)) + 100
    sums = FeatureSums(6)
    for part in features.split(7):
        sums.add(part)
    mean, covariance = sums.moments()
    assert sums.count == 40
    assert torch.allclose(mean, features.double().mean(0))
    assert torch.allclose(covariance, features.double().T.cov(), atol=1e-8)


def test_further_apart_is_more():
    features = torch.randn(500, 6, generator=rng(0))
    found = []
    for shift in (0.0, 0.5, 1.0):
        sums = [FeatureSums(6), FeatureSums(6)]
        sums[0].add(features[:250])
        sums[1].add(features[250:] + shift)
        found.append(frechet_distance(sums[0].moments(), sums[1].moments()).item())
    assert found == sorted(found)
    assert found[2] > found[0] + 4


def test_one_feature_is_refused():
    sums = FeatureSums(2)
    sums.add(torch.ones(1, 2))
    with pytest.raises(ValueError, match="at least two"):
        sums.moments()

"""Fréchet distance between two sets of features, the FVD of video generation.

Unterthiner et al., Towards Accurate Generative Models of Video, 2018 (arXiv:1812.01717): with the sets taken for
samples of two normal distributions, d² = |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½).
"""

from __future__ import annotations

import torch
from torch import Tensor

FEW_CLIPS = 2048
"""Clips that papers use. The estimate is biased upwards with fewer, and two FVDs compare at equal counts only."""
TOO_FEW_CLIPS = 401
"""Below, the covariance of 400 features has no full rank, and the number means little by itself."""


class FeatureSums:
    """Mean and covariance of features `[N, D]`, added up in float64 so that no feature is kept."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        features = features.detach().to("cpu", torch.float64)
        self.count += len(features)
        self._sum += features.sum(0)
        self._products += features.T @ features

    def moments(self) -> tuple[Tensor, Tensor]:
        """(mean `[D]`, unbiased covariance `[D, D]`). Raises ValueError where there are fewer than two features."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two features: {self.count = }")
        mean = self._sum / self.count
        return mean, (self._products - self.count * torch.outer(mean, mean)) / (self.count - 1)


def frechet_distance(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Squared Fréchet distance d² of two normal distributions, each (mean `[D]`, covariance `[D, D]`), float64.

    tr (Σ₁ Σ₂)^½ is the sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric: no complex numbers.
    """
    (mean_1, cov_1), (mean_2, cov_2) = first, second
    values, vectors = torch.linalg.eigh(cov_1)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    middle = root @ cov_2 @ root
    cross = torch.linalg.eigvalsh((middle + middle.T) / 2).clamp_min(0).sqrt().sum()
    distance = (mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * cross
    squared: Tensor = distance.clamp_min(0)
    return squared

"""Temporal variance σ²(x, y): of each pixel over a shot, and of each point along its trajectory.

σ²(x, y) = (1 / T) Σ_t (I_t(x, y) − Ī(x, y))². At fixed pixels whatever moves counts; along trajectories it does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deflicker.motion.filters import sum_of


class PixelVariance:
    """σ²(x, y) at fixed pixels, frame by frame (Welford, Technometrics 1962), so that no frame is kept."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, frame: Tensor) -> None:
        """Take one more frame of the shot, of any shape."""
        if self._mean is None or self._squares is None:
            self._mean, self._squares = torch.zeros_like(frame), torch.zeros_like(frame)
        self._count += 1
        step = frame - self._mean
        self._mean = self._mean + step / self._count
        self._squares = self._squares + step * (frame - self._mean)

    @property
    def frames(self) -> int:
        return self._count

    def value(self) -> Tensor | None:
        """σ² of each pixel, in squared units of the frames; None before the second frame."""
        return None if self._squares is None or self._count < 2 else self._squares / self._count


def sample_variance(samples: Sequence[Tensor]) -> Tensor:
    """Unbiased variance of K tensors of one shape, element by element; torch's own is ten times slower."""
    mean = sum_of(samples) / len(samples)
    return sum_of([(sample - mean).square_() for sample in samples]) / max(1, len(samples) - 1)


def seen_in_all(visible: Sequence[Tensor]) -> Tensor:
    """Where every one of K masks is set: their smallest value."""
    seen = visible[0]
    for one in visible:
        seen = torch.minimum(seen, one)
    return seen


def trajectory_variance(samples: Sequence[Tensor], visible: Sequence[Tensor]) -> Tensor:
    """Mean over points of the variance along their trajectories, `[n]`; unbiased, so that K is no matter.

    samples: K times `[n, C, H, W]`, the same points (`Aligned.samples` and the frame itself); visible: K times
    `[n, 1, H, W]` in {0, 1}. Only points seen in all K frames count; NaN where there is none.
    """
    seen, variance = seen_in_all(visible), sample_variance(samples)
    points = seen.sum((1, 2, 3))
    mean = (variance * seen).sum((1, 2, 3)) / (points * samples[0].shape[1]).clamp_min(1)
    return mean.masked_fill(points == 0, float("nan"))

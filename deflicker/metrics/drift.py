"""Identity drift: how far pictures have moved from what they looked like k frames before, LPIPS(I_t, I_{t+k}) over k.

A steady shot has a curve that rises with its motion and levels off; an identity that drifts keeps rising.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LAGS = (1, 2, 4, 8, 16, 32, 64)
"""Distances k, in frames."""
_EVERY = 16
"""Every this many pictures one is kept to compare later ones with."""


class Drift:
    """Sums of distances between pictures of one shot, kept as features."""

    def __init__(self, sides: int) -> None:
        self._sums = torch.zeros(sides, len(LAGS))
        self._counts = torch.zeros(len(LAGS))
        self._anchors: dict[int, Sequence[Tensor]] = {}
        self._next = 0

    @property
    def lags(self) -> Tensor:
        return torch.tensor(LAGS)

    def add(self, features: Sequence[Tensor], distance: Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]) -> None:
        """Take the next picture of the shot, its features `[S, …]` each, and compare it with those kept."""
        at, self._next = self._next, self._next + 1
        for number, lag in enumerate(LAGS):
            if at - lag in self._anchors:
                self._sums[:, number] += distance(self._anchors[at - lag], features).cpu()
                self._counts[number] += 1
        self._anchors.pop(at - LAGS[-1], None)
        if at % _EVERY == 0:
            self._anchors[at] = features

    def end_shot(self) -> None:
        """What comes next has nothing to do with what came before."""
        self._anchors, self._next = {}, 0

    def means(self) -> Tensor:
        """`[S, K]` mean distance at each of `LAGS`; NaN where no shot was long enough."""
        return torch.where(self._counts > 0, self._sums / self._counts.clamp_min(1), float("nan"))


def coherence(distances: Tensor) -> Tensor:
    """Temporal coherence score TCS = 1 − mean LPIPS(I_t, I_{t+1}); distances `[N]`, those of NaN left out.

    1 is no change at all: blur and a frozen picture score best, so it stands beside the guards only.
    """
    return 1 - distances.nanmean()


def slope(lags: Tensor, distances: Tensor) -> Tensor:
    """Least-squares slope through the drift curve, LPIPS per frame: `[K]` lags in frames, `[K]` mean distances.

    Points of NaN are left out. NaN where fewer than two are left.
    """
    there = ~distances.isnan()
    lags, distances = lags[there].to(distances.dtype), distances[there]
    if len(lags) < 2:
        return distances.new_tensor(float("nan"))
    centred = lags - lags.mean()
    return (centred * (distances - distances.mean())).sum() / centred.square().sum()

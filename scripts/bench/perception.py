"""LPIPS of results against the truth, on a few frames of each clip."""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.metrics.lpips import ALEXNET, Perceptual

FRAMES = 6
"""Frames of a clip that are looked at, evenly spread: looking at all would take longer than many a method."""


class Perception:
    """LPIPS (Zhang 2018, AlexNet, version 0.1) to one clip. What is seen of its frames is computed once."""

    def __init__(self, truth: Tensor, network: Perceptual) -> None:
        """truth: `[T, 3, H, W]` R'G'B' in [0, 1]."""
        self._network, self._places = network, places(len(truth))
        self._seen = network.features(truth[self._places])

    def __call__(self, result: Tensor) -> float:
        """Mean over the frames looked at, 0 for the truth itself; result as the truth."""
        return float(self._network.distance(self._network.features(result[self._places]), self._seen).mean())


def places(frames: int) -> list[int]:
    """Numbers of the frames that are looked at."""
    count = min(FRAMES, frames)
    return [int((k + 0.5) * frames / count) for k in range(count)]


@lru_cache(maxsize=1)
def network() -> Perceptual:
    """LPIPS with its weights. Raises WeightsError where they are not to be had."""
    return Perceptual(weights.load(ALEXNET))


def missing() -> str | None:
    """Why LPIPS cannot be computed here, or None."""
    try:
        network()
    except WeightsError as error:
        return str(error)
    return None

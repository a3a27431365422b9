"""Where one shot ends and the next begins, judged by structure alone.

Light must not enter the test: flicker, fades and the seams between a generator's chunks change tone, a cut changes
what is seen. Two pictures are compared after local contrast normalisation, block by block, each block free to move; a
single odd frame (a flash) is no cut, because the picture before it comes back after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

_STRUCTURE_PX = 64
"""Longer side on which structure is compared."""
_BLOCK_PX = 17
_REACH_PX = 6
"""How far a block may move between frames, in structure pixels: a tenth of the picture."""
_SAME = 0.45
"""Likeness from which two pictures always show the same thing. Unrelated pictures reach 0.26 to 0.43."""
_USUAL_PART = 0.75
"""Part of its usual likeness a shot of restless texture (water: 0.5) must lose to be cut."""
_NOISE = 0.01
"""Local contrast (standard deviation) that carries no structure."""


def structure(frames: Tensor) -> Tensor:
    """Local contrast of the luma, free of tone: R'G'B' `[T, 3, H, W]` → `[T, 1, h, w]` with local variance ≤ 1."""
    height, width = frames.shape[-2:]
    shrink = _STRUCTURE_PX / max(height, width)
    size = (max(4, round(height * shrink)), max(4, round(width * shrink)))
    luma = F.interpolate(frames.mean(1, keepdim=True), size=size, mode="area")
    mean = F.avg_pool2d(luma, 7, 1, 3, count_include_pad=False)
    variance = F.avg_pool2d((luma - mean).square(), 7, 1, 3, count_include_pad=False)
    return (luma - mean) / (variance + (_NOISE * (0.2 + mean)) ** 2).sqrt()


def likeness(first: Tensor, second: Tensor) -> Tensor:
    """Mean correlation of blocks at their best displacement, `[T, 1, h, w]` twice → `[T]`, 0 … 1.

    Where neither picture has any structure there is nothing to disagree on: such blocks count as alike.
    """
    height, width = first.shape[-2:]
    padded = F.pad(second, (_REACH_PX,) * 4, mode="replicate")
    energy_first = (_blocks(first.square()) + 0.05).sqrt()
    energy_second = (F.avg_pool2d(padded.square(), _BLOCK_PX, 1, _BLOCK_PX // 2, count_include_pad=False) + 0.05).sqrt()
    best = torch.zeros_like(energy_first)
    for dy in range(2 * _REACH_PX + 1):
        for dx in range(2 * _REACH_PX + 1):
            here = (..., slice(dy, dy + height), slice(dx, dx + width))
            energy = energy_second[here][..., :: _BLOCK_PX // 2, :: _BLOCK_PX // 2]
            match = (_blocks(first * padded[here]) + 0.05) / (energy_first * energy)
            best = torch.maximum(best, match)
    return best.clamp(max=1).mean((1, 2, 3))


def _blocks(field: Tensor) -> Tensor:
    return F.avg_pool2d(field, _BLOCK_PX, _BLOCK_PX // 2, _BLOCK_PX // 2, count_include_pad=False)


class CutFinder:
    """Decides frame by frame; what it remembers is how alike neighbours usually are in this video."""

    def __init__(self) -> None:
        self._usual: deque[float] = deque([0.9, 0.9, 0.9], maxlen=24)

    def learn(self, likenesses: Iterable[float]) -> None:
        """Take note of how alike neighbours are; a cut among them is too rare to matter to a median."""
        self._usual.extend(likenesses)

    def is_cut(self, like_before: float, like_around: float | None) -> bool:
        """Whether a frame begins a shot.

        like_before: its likeness to the frame before it. like_around: that of the frame after it to the frame before
        it; None at the end of the video.
        """
        limit = self._limit()
        return like_before < limit and (like_around is None or like_around < limit)

    def is_odd(self, like_before: float, like_around: float | None) -> bool:
        """Whether a frame is a flash: unlike the frame before it, which the frame after it is like again."""
        limit = self._limit()
        return like_before < limit and like_around is not None and like_around >= limit

    def _limit(self) -> float:
        return min(_SAME, _USUAL_PART * median(self._usual))

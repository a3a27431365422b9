"""The log gain that takes seams off, from frame to frame: it stays, steps at seams, leaks away and keeps its bound."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LEAK_FRAMES = 240
"""The correction leaks away with this time constant, so that errors do not add up for ever: 10 s at 24 frames a second,
and too slow to be seen."""
LEAK_EXPOSED_FRAMES = 24
"""The same after a step that answered a drift: the one taken for a seam before it may have been another of those."""
_BOUND = 0.35
"""Log gain, half a stop, that the mean over a picture of all seams together stays within in the long run …"""
MOST = 0.5
"""… and at any time."""
_BACK_FRAMES = 12
"""Time constant with which it comes back into the bound."""
_GONE = 0.0005
"""Log gain below which a leaking correction is dropped."""


def carried(
    known: Tensor, frames: int, jumps: Mapping[int, Tensor], leak: int, *, start: Tensor | None = None
) -> Tensor:
    """The log gain `[T, 3, h, w]` of all frames, from the decided ones on: it stays, but for jumps and leaks.

    leak: time constant, frames; start: `[3, h, w]`, of the first frame where none is decided; None for 0.
    """
    levels = [*known]
    level = known[-1] if len(known) else known.new_zeros(known.shape[1:]) if start is None else start
    for frame in range(len(known), frames):
        level = level * (1 - 1 / leak)
        level = level * (level.abs().max() > _GONE)
        level = _towards_bound(level)
        if frame in jumps:
            level = _stepped(level, jumps[frame])
        levels.append(level)
    return torch.stack(levels)


def _stepped(level: Tensor, step: Tensor) -> Tensor:
    """The correction `[3, h, w]` after a seam, as far as the bound on its mean lets it be taken off."""
    mean, wanted = level.mean((1, 2), keepdim=True), (level - step).mean((1, 2), keepdim=True)
    most = torch.maximum(mean.abs(), torch.full_like(mean, MOST))
    return level - step - (wanted - wanted.clamp(-most, most))


def _towards_bound(level: Tensor) -> Tensor:
    """The correction `[3, h, w]` a frame later: what of its mean lies out of the bound goes by and by."""
    mean = level.mean((1, 2), keepdim=True)
    return level - (mean - mean.clamp(-_BOUND, _BOUND)) / _BACK_FRAMES

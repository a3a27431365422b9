"""Matches between frames of a window at several distances, built from the flow of neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from deflicker.motion.warp import compose, visibility


@dataclass(frozen=True, eq=False)
class Match:
    """Where the pixels of frames `start … start + n - 1` lie in the frames `offset` later (earlier if negative)."""

    offset: int
    start: int
    flow_px: Tensor
    """`[n, 2, H, W]` in pixels."""
    visible: Tensor
    """`[n, 1, H, W]` in {0, 1}."""


@dataclass(frozen=True, eq=False)
class LongMatch:
    """Where the pixels of one picture lie in a picture far away."""

    picture: int
    """Its place in the window."""
    flow_px: Tensor
    """`[2, H, W]` in pixels."""
    visible: Tensor
    """`[1, H, W]` in {0, 1}."""


def build_matches(forward_px: Tensor, backward_px: Tensor, lags: Iterable[int]) -> dict[int, Match]:
    """Matches at ±lag for every lag that fits, keyed by signed offset.

    forward_px, backward_px: `[T-1, 2, H, W]`, t → t+1 and t+1 → t. Lags must be powers of two in rising order: each
    is the composition of two of the one before, so errors grow with log2 of the distance, not with the distance.
    """
    frames = len(forward_px) + 1
    matches: dict[int, Match] = {}
    for lag in lags:
        if lag >= frames:
            break
        if lag == 1:
            matches[1] = Match(1, 0, forward_px, visibility(forward_px, backward_px))
            matches[-1] = Match(-1, 1, backward_px, visibility(backward_px, forward_px))
            continue
        half = lag // 2
        for sign in (1, -1):
            step = matches[sign * half]
            near, far = (
                (slice(0, frames - lag), slice(half, None)) if sign > 0 else (slice(half, None), slice(0, frames - lag))
            )
            flow_px, visible = compose(step.flow_px[near], step.visible[near], step.flow_px[far], step.visible[far])
            matches[sign * lag] = Match(sign * lag, 0 if sign > 0 else lag, flow_px, visible)
    return matches

"""Motion of a clip, for metrics and for the methods that follow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core import weights
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.raft.network import RAFT_LARGE
from deflicker.motion.warp import visibility

SIDE_PX = 320
"""Longer side of the frames RAFT sees; its flow is enlarged to the clip."""
FLICKERING_SIDE_PX = 240
"""The same for flickering clips, on which RAFT is more precise, and quicker, when it sees less detail."""
UPDATES = 12


@dataclass(frozen=True, eq=False)
class Motion:
    """Flow between neighbours, t = 0 … T − 2, in pixels of the clip."""

    ahead_px: Tensor
    """`[T-1, 2, H, W]`: t → t + 1."""
    back_px: Tensor
    """`[T-1, 2, H, W]`: t + 1 → t."""
    ahead_visible: Tensor
    """`[T-1, 1, H, W]` in {0, 1}: pixels of t that are seen in t + 1 (forward-backward check)."""
    back_visible: Tensor
    """`[T-1, 1, H, W]` in {0, 1}: pixels of t + 1 that are seen in t."""


NeedsMotion = Callable[[], Motion]
"""Gives the motion of the flickering clip, estimated when first asked for."""


def from_flow(ahead_px: Tensor, back_px: Tensor) -> Motion:
    """Motion with its visibility from flow both ways."""
    return Motion(ahead_px, back_px, visibility(ahead_px, back_px), visibility(back_px, ahead_px))


@torch.no_grad()
def estimate(frames: Tensor, side_px: int = SIDE_PX) -> Motion:
    """RAFT-large between neighbours of `[T, 3, H, W]`, on frames divided by their local mean."""
    height, width = frames.shape[-2:]
    shrink = min(1.0, side_px / max(height, width))
    size = max(8, round(height * shrink)), max(8, round(width * shrink))
    raft = network()
    features = raft.features(F.interpolate(frames, size=size, mode="area"))
    pairs = [raft.flow(features[t : t + 1], features[t + 1 : t + 2]) for t in range(len(frames) - 1)]
    ahead, back = (_enlarge(torch.cat(flows).cpu(), height, width) for flows in zip(*pairs, strict=True))
    return from_flow(ahead, back)


@torch.no_grad()
def from_first(first: Tensor, later: Tensor) -> Motion:
    """RAFT-large between a frame `[3, H, W]`, in the place of t, and each of `[N, 3, H, W]`, in that of t + 1."""
    pairs = [estimate(torch.stack([first, each])) for each in later]
    return Motion(*(torch.cat([getattr(pair, field.name) for pair in pairs]) for field in fields(Motion)))


def _enlarge(flow_px: Tensor, height: int, width: int) -> Tensor:
    scale = torch.tensor([width / flow_px.shape[-1], height / flow_px.shape[-2]]).view(1, 2, 1, 1)
    return F.interpolate(flow_px, size=(height, width), mode="bilinear", align_corners=False) * scale


@lru_cache(maxsize=1)
def network() -> FlowEstimator:
    """RAFT-large with its weights."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return FlowEstimator(weights.load(RAFT_LARGE), device=device, updates=UPDATES)

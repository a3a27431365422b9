"""A surface that pans, its steady guide, and drawings of it that are other in each frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.types import FrameRecord

SIZE = 64, 96
PAN_PX = 2
"""Pixels that the surface moves to the left in each frame."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture that is what it is at one size."""

    rgb_: Tensor

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        assert size == tuple(self.rgb_.shape[-2:])
        return self.rgb_.to(device)


def noise(seed: int, height: int, width: int, radius: int) -> Tensor:
    """Smooth noise `[1, H, W]` of unit variance."""
    rough = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    smooth = F.avg_pool2d(rough, 2 * radius + 1, 1, radius, count_include_pad=False)[0]
    return smooth / smooth.std()


def surface(frames: int) -> Tensor:
    """Luma of what pans, `[T, 1, H, W]`."""
    height, width = SIZE
    whole = (0.5 + 0.1 * noise(1, height, width + PAN_PX * frames, 2)).clamp(0, 1)
    return torch.stack([whole[..., PAN_PX * t : PAN_PX * t + width] for t in range(frames)])


def redrawn(guide: Tensor, strength: float = 0.12) -> Tensor:
    """Each frame with strokes of its own laid over, `[T, 3, H, W]`."""
    strokes = torch.stack([noise(100 + t, *SIZE, 1) for t in range(len(guide))])
    return (guide + strength * strokes).clamp(0, 1).repeat(1, 3, 1, 1)


def records(video: Tensor, guide: Tensor | None, *, pan_px: float = PAN_PX) -> list[FrameRecord]:
    """The frames as they come out of the tone stage, with exact motion."""
    there = torch.zeros(2, *video.shape[-2:])
    there[0] = -pan_px
    found = []
    for t, frame in enumerate(video):
        flows = {"forward_px": there, "backward_px": -there} if t else {}
        light = None if guide is None else (guide[t, 0] * 255).round().to(torch.uint8)
        shown = Shown(frame)
        found.append(FrameRecord(picture=shown, proxy=frame, guide_luma=light, starts_shot=t == 0, **flows))
    return found


def along_pan(video: Tensor) -> Tensor:
    """How far each frame is from the one before, brought to it: mean square, `[T - 1]`, inside of the rim."""
    rim = 12
    moved = video[:-1, ..., PAN_PX:], video[1:, ..., : video.shape[-1] - PAN_PX]
    return (moved[0] - moved[1])[..., rim:-rim, rim:-rim].square().mean((1, 2, 3))

"""Clips that stand still, of known brightness: what tests of the benchmark and of other methods start from."""

from __future__ import annotations

import torch
from torch import Tensor

from scripts.bench import clips, motion


def picture(height: int = 40, width: int = 56) -> Tensor:
    """A still `[3, H, W]` with texture, away from black and white."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([torch.sin(x / (3 + k)) * torch.cos(y / (4 + k)) for k in range(3)])
    return clips.to_8_bits(0.45 + 0.2 * waves)


def still(frames: int = 8) -> Tensor:
    return picture().expand(frames, -1, -1, -1).clone()


def pumping(frames: int = 8) -> Tensor:
    """A still whose brightness swings by a tenth from frame to frame."""
    gain = 1 + 0.05 * (-1.0) ** torch.arange(frames).view(-1, 1, 1, 1)
    return clips.to_8_bits(still(frames) * gain)


def no_motion(frames: Tensor) -> motion.Motion:
    zero = torch.zeros(len(frames) - 1, 2, *frames.shape[-2:])
    return motion.from_flow(zero, zero)


def unasked() -> motion.Motion:
    raise AssertionError("this method needs no motion")


def swing(frames: Tensor) -> float:
    """Largest step of the picture's mean."""
    return float(frames.mean((1, 2, 3)).diff().abs().max())

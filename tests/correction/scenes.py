"""Pictures whose motion and flicker are known to the last digit."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.motion.correspondence import Match, build_matches
from deflicker.motion.filters import CELL_PX

LAGS = (1, 2, 4, 8)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texture(height: int, width: int, seed: int = 0, *, low: float = 0.2, high: float = 0.6) -> Tensor:
    """Noise at every scale from 2 px to the whole picture, `[3, H, W]` between `low` and `high`."""
    random, field, cell = rng(seed), torch.zeros(1, 3, height, width), 2
    while cell < 2 * max(height, width):
        noise = torch.randn(1, 3, height // cell + 2, width // cell + 2, generator=random)
        wide = F.interpolate(noise, scale_factor=cell, mode="bilinear", align_corners=False)
        field += cell**0.5 * wide[..., cell // 2 : cell // 2 + height, cell // 2 : cell // 2 + width]
        cell *= 2
    field = field[0] - field.amin()
    return low + (high - low) * field / field.amax()


def still(frames: int, height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
    return texture(height, width, seed).expand(frames, -1, -1, -1)


def pan(frames: int, height: int = 48, width: int = 64, *, step: tuple[int, int] = (2, 1), seed: int = 0) -> Tensor:
    """What is seen moves by `step` (dx, dy) a frame."""
    dx, dy = step
    wide = texture(height + abs(dy) * frames, width + abs(dx) * frames, seed)
    x0, y0 = (abs(d) * frames if d > 0 else 0 for d in step)
    return torch.stack([wide[:, y0 - t * dy :, x0 - t * dx :][:, :height, :width] for t in range(frames)])


def links(frames: Tensor, step: tuple[float, float] = (0, 0)) -> tuple[Tensor, Tensor]:
    """(forward, backward) flow of neighbours for a picture that moves by `step` a frame."""
    flow_px = torch.tensor(step, dtype=frames.dtype).view(1, 2, 1, 1)
    forward_px = flow_px.expand(max(len(frames) - 1, 0), 2, *frames.shape[-2:]).contiguous()
    return forward_px, -forward_px


def matches(frames: Tensor, step: tuple[float, float] = (0, 0), lags: tuple[int, ...] = LAGS) -> dict[int, Match]:
    return build_matches(*links(frames, step), lags)


def global_noise(frames: int, sd: float, seed: int = 1) -> Tensor:
    """Log gain of the whole picture, new in every frame, centred: `[T, 1, 1, 1]`."""
    noise = torch.randn(frames, 1, 1, 1, generator=rng(seed))
    return sd * (noise - noise.mean()) / noise.std()


def local_noise(frames: int, height: int, width: int, sd: float, seed: int = 1, knots: int = 3) -> Tensor:
    """Smooth log gain with a few knots across the picture, new in every frame: `[T, 1, H, W]`."""
    noise = torch.randn(frames, 1, knots, knots + 1, generator=rng(seed))
    field = F.interpolate(noise - noise.mean(0), size=(height, width), mode="bicubic", align_corners=True)
    return sd * field / field.std()


def tone_steps(tone: Tensor, lags: tuple[int, ...] = (1, 2)) -> dict[int, Step]:
    """What is observed where nothing moves and the cells' log tone is `tone [T, 3, h, w]`."""
    steps = {}
    for offset in (sign * lag for lag in lags if lag < len(tone) for sign in (1, -1)):
        start, n = max(0, -offset), len(tone) - abs(offset)
        log_ratio = tone[start + offset : start + offset + n] - tone[start : start + n]
        still_ = torch.zeros(n, 2, *tone.shape[-2:])
        steps[offset] = Step(offset, start, still_, log_ratio, torch.ones_like(log_ratio))
    return steps


def cells(field: Tensor) -> Tensor:
    return F.avg_pool2d(field, CELL_PX)


def shaking(log_tone: Tensor) -> float:
    """Root mean square of the second difference in time, in units of independent noise: trends and offsets are free."""
    return float((log_tone[2:] - 2 * log_tone[1:-1] + log_tone[:-2]).square().mean().sqrt()) / math.sqrt(6)

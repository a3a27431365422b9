"""Light that is meant to change: scenes made of nothing but code, and how much of their change a correction leaves.

Every scene is `[T, 3, H, W]` R'G'B' in [0, 1] at 24 frames a second, made from a fixed seed, and holds no flicker.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

FRAMES, HEIGHT, WIDTH = 48, 144, 256
BOUND = 0.10
"""How much of a scene's own change from frame to frame may be lost, or added, in the mean over the scenes."""


def noise(*size: int, cell: int, seed: int) -> Tensor:
    """Smooth noise in [0, 1] of some frames `[T, H, W]`, correlated over `cell` pixels."""
    frames, height, width = size
    random = torch.randn(
        frames, 1, height // cell + 3, width // cell + 3, generator=torch.Generator().manual_seed(seed)
    )
    field = F.interpolate(random, scale_factor=cell, mode="bicubic")[:, 0, cell : cell + height, cell : cell + width]
    return (0.5 + 0.25 * field).clamp(0, 1)


def room(seed: int = 0) -> Tensor:
    """A still background `[3, H, W]` with structure at every scale."""
    layers = [noise(3, HEIGHT, WIDTH, cell=cell, seed=seed + cell) for cell in (4, 12, 40)]
    return 0.1 + 0.5 * (0.2 * layers[0] + 0.3 * layers[1] + 0.5 * layers[2])


def fire() -> Tensor:
    """Flames that rise and die, and light the room around them unsteadily."""
    tall = noise(1, HEIGHT + 6 * FRAMES, WIDTH, cell=14, seed=1)[0]
    fine = noise(1, HEIGHT + 9 * FRAMES, WIDTH, cell=6, seed=2)[0]
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing="ij")
    frames, glow = [], 0.25 * torch.randn(FRAMES, generator=torch.Generator().manual_seed(3))
    for t in range(FRAMES):
        turbulence = 0.6 * tall[6 * t : 6 * t + HEIGHT] + 0.4 * fine[9 * t : 9 * t + HEIGHT]
        heat = ((1.9 * y - 0.9 - 2.2 * x.abs()) + 1.6 * (turbulence - 0.5)).clamp(0, 1)
        flame = torch.stack([1.6 * heat, 1.1 * heat**1.7, 0.9 * heat**3.5])
        glow[t] = 0.7 * glow[t - 1] + 0.3 * glow[t] if t else 0.0
        near = torch.exp(-2 * ((x / 1.2) ** 2 + (1 - y) ** 2)) * (1 + 1.5 * glow[t])
        frames.append(room() * (0.4 + 0.6 * near) * torch.tensor([1, 0.8, 0.6]).view(3, 1, 1) + flame)
    return torch.stack(frames).clamp(0, 1)


def lightning() -> Tensor:
    """A night scene lit by two bolts of several strokes each."""
    gains = torch.ones(FRAMES)
    for frame, gain in {10: 4.0, 11: 2.2, 13: 5.0, 14: 3.0, 15: 1.7, 33: 4.5, 34: 2.0, 36: 2.8}.items():
        gains[frame] = gain
    return (0.18 * room()[None] * gains.view(-1, 1, 1, 1)).clamp(0, 1)


def neon() -> Tensor:
    """Signs that go on and off once to twice a second, each at its own pace, and light the street a little."""
    frames = 0.5 * room().repeat(FRAMES, 1, 1, 1)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    for left, top, period, colour in (
        (30, 20, 12, (1, 0.1, 0.3)),
        (110, 60, 24, (0.1, 0.9, 1)),
        (190, 30, 18, (1, 0.8, 0)),
    ):
        light = torch.tensor(colour).view(3, 1, 1)
        near = torch.exp(-(((x - left - 20) / 45.0) ** 2 + ((y - top - 12) / 45.0) ** 2))
        for t in range(FRAMES):
            if t % period < period // 2:
                frames[t] += 0.15 * light * near
                frames[t, :, top : top + 24, left : left + 40] = 0.9 * light
    return frames.clamp(0, 1)


def strobe() -> Tensor:
    """A dance floor: dark, and lit for two frames of every seven, while the camera pans."""
    wide = torch.cat([room(1), room(2)], 2)
    gains = torch.tensor([2.6 if t % 7 < 2 else 1.0 for t in range(FRAMES)])
    pan = torch.stack([wide[..., 2 * t : 2 * t + WIDTH] for t in range(FRAMES)])
    return (0.35 * pan * gains.view(-1, 1, 1, 1)).clamp(0, 1)


def water() -> Tensor:
    """Ripples that run across each other under a low sun: highlights appear and go from frame to frame."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    random, slope = torch.Generator().manual_seed(5), torch.zeros(FRAMES, HEIGHT, WIDTH)
    time = torch.arange(FRAMES).float().view(-1, 1, 1)
    for _ in range(24):
        angle, length, phase = torch.rand(3, generator=random)
        angle, length = 6.28 * angle, 7 + 40 * length**2
        wave = 6.28 / length * (angle.cos() * x + angle.sin() * y) + 6.28 * phase - 4.5 / length**0.5 * time
        slope += wave.sin() * (length / 24) ** 0.5 / 24**0.5
    sky = torch.tensor([0.25, 0.38, 0.45]).view(1, 3, 1, 1) * (1 + 0.35 * slope[:, None])
    return (sky + ((slope[:, None] - 1.3) * 2.5).clamp(0, 0.8)).clamp(0, 1)


def shadows() -> Tensor:
    """Shadows of leaves that sway over a still wall."""
    leaves = noise(1, HEIGHT + 80, WIDTH + 80, cell=18, seed=7)[0]
    frames = []
    for t in range(FRAMES):
        across = 40 + 26 * torch.sin(torch.tensor(t / 5.0)) + 10 * torch.sin(torch.tensor(t / 1.9))
        down = 40 + 12 * torch.sin(torch.tensor(t / 3.1))
        moved = leaves[int(down) : int(down) + HEIGHT, int(across) : int(across) + WIDTH]
        frames.append(room(4) * (1 - 0.55 * torch.sigmoid(30 * (moved - 0.52))))
    return 1.3 * torch.stack(frames)


SCENES: dict[str, tuple[Callable[[], Tensor], bool]] = {
    "fire": (fire, False),
    "lightning": (lightning, False),
    "neon": (neon, False),
    "strobe": (strobe, True),
    "sparkling water": (water, False),
    "moving shadows": (shadows, False),
}
"""Each with whether it is what `--keep-flashes` is for."""


def temporal_energy(frames: Tensor) -> float:
    """Mean square of the change of luma from one frame to the next, at fixed pixels, code values of 255 squared."""
    luma = 255 * torch.einsum("tchw,c->thw", frames, frames.new_tensor([0.2126, 0.7152, 0.0722]))
    return float(luma.diff(dim=0).square().mean())

"""What a camera, a decoder or a generator does to whole frames: gains, saturation, hue, sharpness. Pure tensors.

All frames are `[T, 3, H, W]` R'G'B' in [0, 1]; a number for each frame is `[T]`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

LUMA = (0.2126, 0.7152, 0.0722)


def noise(count: int, rng: Generator) -> Tensor:
    """Unit normal noise `[count]`, centred: a constant offset cannot be seen without the clean clip."""
    drawn = torch.randn(count, generator=rng)
    return drawn - drawn.mean()


def uniform(low: float, high: float, rng: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def integer(low: int, high: int, rng: Generator) -> int:
    """A whole number in [low, high]."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def of_frames(values: Tensor) -> Tensor:
    """`[T]` → `[T, 1, 1, 1]`."""
    return values.view(-1, 1, 1, 1)


def to_linear(frames: Tensor) -> Tensor:
    """R'G'B' → linear light, by the curve of sRGB (IEC 61966-2-1)."""
    return torch.where(frames <= 0.04045, frames / 12.92, ((frames + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """The way back of `to_linear`, clipped to [0, 1]."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-6) ** (1 / 2.4) - 0.055)


def exposed(frames: Tensor, stops: Tensor) -> Tensor:
    """Frames exposed by so many stops more, `[T, 1, 1, 1]` or a field; light that is too strong clips."""
    if not stops.any():
        return frames
    return from_linear(to_linear(frames) * 2.0**stops)


def grey(frames: Tensor) -> Tensor:
    """Luma `[T, 1, H, W]`."""
    return torch.einsum("tchw,c->thw", frames, frames.new_tensor(LUMA))[:, None]


def saturated(frames: Tensor, factor: Tensor) -> Tensor:
    """Distance from grey times a factor, luma kept where nothing clips."""
    luma = grey(frames)
    return (luma + (frames - luma) * factor).clamp(0, 1)


def hue_turned(frames: Tensor, angle: Tensor) -> Tensor:
    """Chroma turned by an angle `[T]` in radians, luma kept where nothing clips."""
    luma = grey(frames)
    u, v = frames[:, 2:] - luma, frames[:, :1] - luma
    cos, sin = of_frames(angle.cos()), of_frames(angle.sin())
    u, v = u / 1.8556, v / 1.5748  # Cb and Cr of BT.709: both axes in one unit
    u, v = cos * u - sin * v, sin * u + cos * v
    red, blue = luma + 1.5748 * v, luma + 1.8556 * u
    green = (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1]
    return torch.cat([red, green, blue], 1).clamp(0, 1)


def softened(frames: Tensor, sigma: float) -> Tensor:
    """Blurred by a Gaussian of so many pixels; 0 leaves everything."""
    if sigma <= 0:
        return frames
    radius = max(1, math.ceil(3 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).expand(3, 1, -1)
    padded = F.pad(frames, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, weights[:, :, None, :], groups=3)
    return F.conv2d(across, weights[:, :, :, None], groups=3)


def sharpened(frames: Tensor, amount: float) -> Tensor:
    """Unsharp mask of 1 px."""
    return (frames + amount * (frames - softened(frames, 1.0))).clamp(0, 1)

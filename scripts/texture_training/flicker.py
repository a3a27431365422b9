"""Texture flicker to train on: many ways in which a clip drawn frame by frame boils.

Every kind is a function of (clean, rng). clean: `[T, 3, H, W]` R'G'B' in [0, 1]; the same shape comes back. Amplitudes,
scales, memory and colour are drawn anew for each clip. None of it is code of the benchmark, whose kinds are drawn by
other formulas, and whose clips and seeds are others.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.motion.warp import warp

Kind = Callable[[Tensor, Generator], Tensor]

SCALES_PX = (1, 2, 4, 8, 16)
"""Sides of the cells that noise is drawn on."""


def uniform(rng: Generator, low: float, high: float) -> float:
    """A number between two others."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def chance(rng: Generator, share: float) -> bool:
    """Whether something happens that happens in this share of all cases."""
    return float(torch.rand((), generator=rng)) < share


def any_of(rng: Generator, *choices: float) -> float:
    """One of several numbers."""
    return choices[int(torch.randint(len(choices), (), generator=rng))]


# --- Noise ------------------------------------------------------------------------------------------------------------


def remembered(noise: Tensor, memory: float) -> Tensor:
    """Noise whose frames keep a part `memory` of the one before; its variance stays: `[T, ...]`."""
    for t in range(1, len(noise)):
        noise[t] = memory * noise[t - 1] + (1 - memory**2) ** 0.5 * noise[t]
    return noise


def cell_noise(frames: int, channels: int, size: tuple[int, int], cell_px: int, rng: Generator) -> Tensor:
    """Unit noise `[T, C, H, W]` on cells of `cell_px`, bicubic between them, the grid somewhere else in each frame."""
    height, width = size
    grid = torch.randn((frames, channels, height // cell_px + 3, width // cell_px + 3), generator=rng)
    if cell_px == 1:
        return grid[..., :height, :width]
    fine = F.interpolate(grid, scale_factor=cell_px, mode="bicubic", align_corners=False)
    top, left = torch.randint(cell_px, (2,), generator=rng).tolist()
    return fine[..., top + cell_px // 2 :, left + cell_px // 2 :][..., :height, :width]


def noise(clean: Tensor, rng: Generator) -> Tensor:
    """Noise of several scales, grey to coloured, with or without memory, following contrast, luma or neither."""
    frames, size = len(clean), (clean.shape[-2], clean.shape[-1])
    colour = any_of(rng, 0.0, 0.0, 1.0, 1.0, uniform(rng, 0, 1))
    total = torch.zeros_like(clean)
    kept = [scale for scale in SCALES_PX if chance(rng, 0.55)] or [int(any_of(rng, 2, 4, 8))]
    for scale in kept:
        drawn = cell_noise(frames, 3, size, scale, rng)
        grey = drawn.mean(1, keepdim=True) * 3**0.5
        total += uniform(rng, 0.2, 1) * (colour * drawn + (1 - colour) * grey)
    total /= total.std().clamp_min(1e-6)
    if chance(rng, 0.5):
        total = remembered(total, uniform(rng, 0, 0.9))
    strength = any_of(rng, uniform(rng, 0.004, 0.02), uniform(rng, 0.015, 0.05))
    return (clean + strength * _where(clean, rng) * total).clamp(0, 1)


def _where(clean: Tensor, rng: Generator) -> Tensor:
    """How strongly each place boils, about 1 in the mean, `[T, 1, H, W]`."""
    luma = clean.mean(1, keepdim=True)
    follows = any_of(rng, 0.0, uniform(rng, 0, 1), 1.0)
    spread = F.avg_pool2d((luma - F.avg_pool2d(luma, 9, 1, 4)).abs(), 9, 1, 4)
    contrast = (0.25 + spread / spread.mean().clamp_min(1e-4)).clamp(max=uniform(rng, 2, 5)) / 1.1
    light = 1 + uniform(rng, -0.8, 0.8) * (2 * luma - 1)
    return (1 - follows + follows * contrast) * light


# --- What tools do to each frame by itself ----------------------------------------------------------------------------


def blurred(frames: Tensor, radius: int) -> Tensor:
    """Mean over (2 radius + 1)² pixels."""
    return F.avg_pool2d(frames, 2 * radius + 1, 1, radius, count_include_pad=False)


def sharper(frames: Tensor, amount: Tensor | float, radius: int = 1) -> Tensor:
    """Unsharp mask; an amount below 0 softens."""
    return (frames + amount * (frames - blurred(frames, radius))).clamp(0, 1)


def upscaled(clean: Tensor, rng: Generator) -> Tensor:
    """Made small with another phase in each frame, enlarged and sharpened, with detail made up on top."""
    frames, _, height, width = clean.shape
    factor = uniform(rng, 1.4, 3.2)
    small = max(16, round(height / factor)), max(16, round(width / factor))
    shift = factor * (torch.rand((frames, 2, 1, 1), generator=rng) - 0.5)
    moved = warp(clean, shift.expand(-1, -1, height, width), "bicubic")
    mode = "area" if chance(rng, 0.6) else "bicubic"
    little = F.interpolate(moved, small, mode=mode)
    little = little + uniform(rng, 0, 0.012) * torch.randn(little.shape, generator=rng)
    large = F.interpolate(little, (height, width), mode="bicubic", align_corners=False)
    large = warp(large, -shift.expand(-1, -1, height, width), "bicubic")
    made_up = uniform(rng, 0, 0.02) * cell_noise(frames, 1, (height, width), 2, rng) * _where(clean, rng)
    wobble = uniform(rng, 0, 0.6) * torch.randn((frames, 1, 1, 1), generator=rng)
    return (sharper(large, (uniform(rng, 0.3, 1.8) + wobble).clamp(0, 3)) + made_up).clamp(0, 1)


def jpeg(clean: Tensor, rng: Generator) -> Tensor:
    """Each frame a JPEG, some with the grid of blocks somewhere else and other quality in each frame."""
    quality, moves, swings = uniform(rng, 12, 55), chance(rng, 0.5), chance(rng, 0.4)
    found = []
    for frame in clean:
        pad = torch.randint(8, (2,), generator=rng).tolist() if moves else (0, 0)
        pixels = F.pad(frame[None], (pad[0], 0, pad[1], 0), mode="replicate")[0]
        now = quality + (uniform(rng, -8, 8) if swings else 0)
        found.append(_through_pil(pixels, lambda image, q=now: _as_jpeg(image, int(max(8, q))))[:, pad[1] :, pad[0] :])
    return torch.stack(found)


def _as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def quantised(clean: Tensor, rng: Generator) -> Tensor:
    """Few colours, chosen anew for each frame, dithered or not, as in GIF."""
    colours, dithers = int(any_of(rng, 24, 48, 96, 200)), chance(rng, 0.6)
    jitter = uniform(rng, 0, 0.012)
    dither = Image.Dither.FLOYDSTEINBERG if dithers else Image.Dither.NONE

    def reduced(image: Image.Image) -> Image.Image:
        return image.quantize(colours, dither=dither, method=Image.Quantize.FASTOCTREE).convert("RGB")

    noisy = clean + jitter * torch.randn(clean.shape, generator=rng)
    return torch.stack([_through_pil(frame, reduced) for frame in noisy])


def _through_pil(frame: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    pixels = (frame.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return torch.from_numpy(np.array(change(Image.fromarray(pixels)))).permute(2, 0, 1).float() / 255


def denoised(clean: Tensor, rng: Generator) -> Tensor:
    """Noise taken away frame by frame, with other strength in each: flat where it is weak, and sometimes blotched."""
    noisy = clean + uniform(rng, 0.01, 0.04) * torch.randn(clean.shape, generator=rng)
    strength = (uniform(rng, 0.02, 0.08) * (1 + 0.4 * torch.randn((len(clean), 1, 1, 1), generator=rng))).abs()
    for radius in (1, 2):
        smooth = blurred(noisy, radius)
        detail = noisy - smooth
        shown = (1 - strength / (blurred(detail.square().mean(1, keepdim=True), 2).sqrt() + 1e-4)).clamp(0, 1)
        noisy = smooth + shown * detail
    return noisy.clamp(0, 1)


def redrawn(clean: Tensor, rng: Generator) -> Tensor:
    """The same picture under another smooth warp of less than 2 px in each frame."""
    frames, size = len(clean), (clean.shape[-2], clean.shape[-1])
    cell = int(any_of(rng, 8, 16, 32))
    move = cell_noise(frames, 2, size, cell, rng) * uniform(rng, 0.15, 0.8)
    if chance(rng, 0.4):
        move = remembered(move, uniform(rng, 0, 0.8))
    drawn = warp(clean, move.clamp(-2, 2), "bicubic").clamp(0, 1)
    return sharper(drawn, uniform(rng, 0, 0.3))


def pulsing(clean: Tensor, rng: Generator) -> Tensor:
    """Every second or fourth frame sharper or softer than the others."""
    every, phase = int(any_of(rng, 2, 4, 4, 8)), int(torch.randint(8, (), generator=rng))
    amount = any_of(rng, uniform(rng, 0.2, 1.2), uniform(rng, -0.9, -0.3))
    at = torch.tensor([(t + phase) % every == 0 for t in range(len(clean))]).view(-1, 1, 1, 1)
    radius = int(any_of(rng, 1, 1, 2))
    return torch.where(at, sharper(clean, amount, radius), clean)


def tone(clean: Tensor, rng: Generator) -> Tensor:
    """A little flicker of tone, smooth over large regions: what the stage before may leave."""
    frames, size = len(clean), (clean.shape[-2], clean.shape[-1])
    cells = F.interpolate(torch.randn((frames, 3, 4, 6), generator=rng), size, mode="bicubic", align_corners=True)
    grey = cells.mean(1, keepdim=True) * 3**0.5
    amount = uniform(rng, 0.004, 0.025)
    return (clean * (1 + amount * (0.8 * grey + 0.4 * cells))).clamp(0, 1)


# --- All of it --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flicker:
    """Draws flicker for one clip after another."""

    codec: Codec
    """What latents are disturbed of."""
    without: frozenset[str] = frozenset()
    """Kinds left out; for ablations."""

    def of(self, clean: Tensor, rng: Generator) -> tuple[str, Tensor]:
        """The name of what was drawn, and the flickering clip in multiples of 1/255."""
        kinds = {name: share for name, share in SHARES.items() if name not in self.without}
        name = _weighted(kinds, rng)
        if name == "clean":
            return name, clean
        made: dict[str, Kind] = KINDS | {"latent": self._latent}
        result = made[name](clean, rng)
        if name not in ("noise", "latent") and chance(rng, 0.25):
            result = noise(result, rng) if chance(rng, 0.5) else redrawn(result, rng)
        if name != "pulse" and chance(rng, 0.08) and "pulse" in kinds:
            result = pulsing(result, rng)
        if chance(rng, 0.3):
            result = tone(result, rng)
        return name, (result.clamp(0, 1) * 255).round() / 255

    def _latent(self, clean: Tensor, rng: Generator) -> Tensor:
        """Latents of the package's own autoencoder disturbed, with or without memory, and decoded."""
        size = clean.shape[-2], clean.shape[-1]
        latents = torch.cat([self.codec.encode(frame[None]) for frame in clean])
        spread = latents.flatten(2).std(2).mean(0).view(1, -1, 1, 1)
        drawn = torch.randn(latents.shape, generator=rng)
        if chance(rng, 0.5):
            drawn = remembered(drawn, uniform(rng, 0, 0.9))
        drawn[:, :3] *= uniform(rng, 0, 0.03) * 8 * 0.1
        changed = latents + uniform(rng, 0.08, 0.5) * spread * drawn
        decoded = torch.cat([self.codec.decode(each[None], size) for each in changed])
        return decoded.clamp(0, 1)


KINDS: Mapping[str, Kind] = {
    "noise": noise,
    "upscaler": upscaled,
    "jpeg": jpeg,
    "quantised": quantised,
    "denoised": denoised,
    "redrawn": redrawn,
    "pulse": pulsing,
    "tone": tone,
}
SHARES: Mapping[str, float] = {
    "clean": 0.18, "noise": 0.42, "latent": 0.09, "upscaler": 0.07, "jpeg": 0.05, "quantised": 0.04,
    "denoised": 0.03, "redrawn": 0.06, "pulse": 0.04, "tone": 0.02,
}  # fmt: skip
"""How often each kind is drawn."""


def _weighted(shares: Mapping[str, float], rng: Generator) -> str:
    names = list(shares)
    weights = torch.tensor([shares[name] for name in names])
    return names[int(torch.multinomial(weights, 1, generator=rng))]

"""Texture that flickers as generators and filters of single frames make it. Each kind is a function of (clean, rng).

clean: `[T, 3, H, W]` R'G'B' in [0, 1]; the result has the same shape. Nothing here is shared with the flicker that the
temporal attention is trained on (`scripts/texture_training`): other formulas, other amounts.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import OWN, load_autoencoder


def _blobs(frames: int, channels: int, size: tuple[int, int], side_px: int, rng: Generator) -> Tensor:
    """Unit noise `[T, C, H, W]` of blobs of a size: white noise under a binomial blur, on a grid of half that size."""
    step = max(1, side_px // 2)
    grid = torch.randn((frames, channels, size[0] // step + 4, size[1] // step + 4), generator=rng)
    taps = torch.tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3)
    fine = F.interpolate(F.conv2d(grid, kernel, groups=channels), scale_factor=step, mode="bilinear")
    fine = fine[..., : size[0], : size[1]]
    return fine / fine.std()


def _busy(clean: Tensor) -> Tensor:
    """How much more a place boils where there is texture: 0.6 on flat ground, up to 1.6: `[T, 1, H, W]`."""
    luma = clean.mean(1, keepdim=True)
    spread = F.avg_pool2d(luma.square(), 13, 1, 6) - F.avg_pool2d(luma, 13, 1, 6).square()
    return 0.6 + (spread.clamp_min(0).sqrt() / 0.08).clamp(max=1)


def colour_boil(clean: Tensor, rng: Generator) -> Tensor:
    """Independent noise in R, G and B at 2, 4 and 8 px."""
    size = clean.shape[-2], clean.shape[-1]
    drawn = sum(_blobs(len(clean), 3, size, side, rng) for side in (2, 4, 8))
    return (clean + 0.012 * _busy(clean) * drawn).clamp(0, 1)


def coarse_boil(clean: Tensor, rng: Generator) -> Tensor:
    """Grey and a little coloured noise at 8 and 16 px."""
    size = clean.shape[-2], clean.shape[-1]
    grey, colour = ([_blobs(len(clean), n, size, side, rng) for side in (8, 16)] for n in (1, 3))
    return (clean + _busy(clean) * (0.012 * sum(grey) + 0.005 * sum(colour))).clamp(0, 1)


def latent(clean: Tensor, rng: Generator) -> Tensor:
    """Latents of the package's autoencoder disturbed in proportion to their size, and decoded."""
    codec, size = _codec(), (clean.shape[-2], clean.shape[-1])
    found = []
    for frame in clean:
        z = codec.encode(frame[None])
        noise = torch.randn(z.shape, generator=rng) * (torch.arange(z.shape[1]) > 2).view(1, -1, 1, 1)
        disturbed = z + (0.12 * z.abs() + 0.02) * noise
        found.append(codec.decode(disturbed, size))
    return torch.cat(found).clamp(0, 1)


@lru_cache(maxsize=1)
def _codec() -> Codec:
    return load_autoencoder(OWN, torch.device("cpu"), torch.float32)


def upscaler(clean: Tensor, rng: Generator) -> Tensor:
    """Half the size with a little noise, enlarged, its edges sharpened by an amount that is new in each frame."""
    size = clean.shape[-2], clean.shape[-1]
    small = F.interpolate(clean, scale_factor=0.5, mode="bilinear", antialias=True)
    small = small + 0.012 * torch.randn(small.shape, generator=rng)
    large = F.interpolate(small, size=size, mode="bicubic", align_corners=False)
    amount = 0.7 + 0.3 * torch.randn((len(clean), 1, 1, 1), generator=rng)
    return (large + amount * (large - F.avg_pool2d(large, 5, 1, 2, count_include_pad=False))).clamp(0, 1)


def jpeg(clean: Tensor, rng: Generator) -> Tensor:
    """Each frame a JPEG of its own, its blocks elsewhere in each."""
    found = []
    for frame in clean:
        down, right, quality = (int(torch.randint(n, (), generator=rng)) for n in (8, 8, 16))
        pixels = F.pad(frame[None], (right, 0, down, 0), mode="replicate")[0]
        buffer = io.BytesIO()
        _image(pixels).save(buffer, "JPEG", quality=40 + quality)
        found.append(_pixels(Image.open(buffer).convert("RGB"))[:, down:, right:])
    return torch.stack(found)


def quantised(clean: Tensor, rng: Generator) -> Tensor:
    """64 colours of its own for each frame, dithered, as in a GIF."""
    noisy = clean + 0.006 * torch.randn(clean.shape, generator=rng)
    palettes = (_image(frame).quantize(64, method=Image.Quantize.MEDIANCUT) for frame in noisy)
    return torch.stack([_pixels(each.convert("RGB")) for each in palettes])


def pulse(clean: Tensor, rng: Generator) -> Tensor:
    """Every fourth frame sharper, as temporal autoencoders make them."""
    first = int(torch.randint(4, (), generator=rng))
    soft = F.avg_pool2d(clean, 3, 1, 1, count_include_pad=False)
    sharp = torch.tensor([t % 4 == first for t in range(len(clean))]).view(-1, 1, 1, 1)
    jitter = 1 + 0.2 * torch.randn((len(clean), 1, 1, 1), generator=rng)
    return torch.where(sharp, clean + 0.6 * jitter * (clean - soft), clean).clamp(0, 1)


def _image(frame: Tensor) -> Image.Image:
    return Image.fromarray((frame.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def _pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


TEXTURE_KINDS: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "colour-boil": colour_boil,
    "coarse-boil": coarse_boil,
    "latent-noise": latent,
    "upscaler": upscaler,
    "jpeg": jpeg,
    "quantised": quantised,
    "sharpness-pulse": pulse,
}

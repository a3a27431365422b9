"""Whole frames that pump: in saturation, hue, contrast or exposure, in bands of rows, or every second one."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .case import Case
from .light import exposed, from_linear, hue_turned, integer, noise, of_frames, saturated, softened, to_linear, uniform

SMALL = (239, 427)
SMALL_FRAMES = 16
_FLASH = 1.45
_FLASHES_APART = 6


def saturation(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Saturation pumps by a quarter; luma stays."""
    return Case(saturated(clean, of_frames((0.25 * strength * noise(len(clean), rng)).exp())), clean)


def hue(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Hue sways by nine degrees; luma stays."""
    return Case(hue_turned(clean, 0.15 * strength * noise(len(clean), rng)), clean)


def contrast(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Contrast pumps by a tenth around the middle of the range."""
    factor = of_frames((0.1 * strength * noise(len(clean), rng)).exp())
    return Case((0.5 + (clean - 0.5) * factor).clamp(0, 1), clean)


def _bands(clean: Tensor, rng: Generator, strength: float, advance: float) -> Case:
    """Rows modulated in linear light by a fifth, red a little less and blue a little more; `advance` in periods."""
    frames, height = len(clean), clean.shape[-2]
    periods, start = uniform(1, 3, rng), uniform(0, 1, rng)
    phase = periods * torch.arange(height) / height + start + advance * torch.arange(frames).view(-1, 1)
    wave = torch.cos(2 * torch.pi * phase).view(frames, 1, height, 1)
    modulation = 1 + 0.2 * strength * wave * torch.tensor([0.85, 1.0, 1.15]).view(1, 3, 1, 1)
    return Case(from_linear(to_linear(clean) * modulation.clamp_min(0)), clean)


def bands(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Bands of mains light that a rolling shutter catches; they move by about a third of a period a frame."""
    return _bands(clean, rng, strength, uniform(0.25, 0.45, rng))


def slow_bands(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Bands of mains light that crawl: once around in about 24 frames."""
    return _bands(clean, rng, strength, uniform(0.035, 0.05, rng))


def jumps(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Each frame is exposed differently, by up to a stop either way, and clips: time lapse, Super 8."""
    stops = 2 * torch.rand(len(clean), generator=rng) - 1
    return Case(exposed(clean, of_frames(strength * (stops - stops.mean()))), clean)


def alternate(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Every second frame went through the other of the matrices of BT.601 and BT.709, and is a little softer."""
    wrong = torch.linalg.inv(_from_rgb(0.2126, 0.0722)) @ _from_rgb(0.299, 0.114)
    matrix = torch.eye(3) + strength * (wrong - torch.eye(3))
    first = integer(0, 1, rng)
    flickering = clean.clone()
    changed = torch.einsum("ij,tjhw->tihw", matrix, softened(clean[first::2], 0.5 * strength))
    flickering[first::2] = changed.clamp(0, 1)
    right = tuple(range(1 - first, len(clean), 2))
    return Case(flickering, clean, marked=right)


def _from_rgb(red: float, blue: float) -> Tensor:
    """R'G'B' → Y'CbCr of a matrix with these weights of red and blue in luma."""
    luma = torch.tensor([red, 1 - red - blue, blue])
    cb = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    cr = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    return torch.stack([luma, cb, cr])


def flashes(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Press flashes of × 1.45, one or two frames long, that belong there, over 5 % of flicker."""
    gain, marked, at = torch.ones(len(clean)), [], integer(3, 5, rng)
    while at < len(clean) - 4:
        length = integer(1, 2, rng)
        gain[at : at + length] = _FLASH
        marked += range(at, at + length)
        at += length + integer(_FLASHES_APART, 2 * _FLASHES_APART, rng)
    shaken = gain * (0.05 * strength * noise(len(clean), rng)).exp()
    truth, flickering = ((clean * of_frames(each)).clamp(0, 1) for each in (gain, shaken))
    return Case(flickering, truth, marked=tuple(marked))


def small(clean: Tensor, rng: Generator, strength: float) -> Case:
    """At most 427 × 239 pixels, both sides odd, 16 frames: exposure pumps by 8 %."""
    height, width = (
        min(side, most) - (1 - min(side, most) % 2) for side, most in zip(clean.shape[-2:], SMALL, strict=True)
    )
    top, left = (clean.shape[-2] - height) // 2, (clean.shape[-1] - width) // 2
    cut = clean[:SMALL_FRAMES, :, top : top + height, left : left + width]
    shaken = cut * of_frames((0.08 * strength * noise(len(cut), rng)).exp())
    return Case(shaken.clamp(0, 1), cut)

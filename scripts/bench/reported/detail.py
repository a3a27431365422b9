"""Sharpness that pulses, or jumps at a seam."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .case import Case
from .light import integer, sharpened, softened


def sharp_frames(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Every fourth frame is sharper and 2 % brighter, as temporal autoencoders decode."""
    flickering, first = clean.clone(), integer(0, 3, rng)
    flickering[first::4] = (sharpened(clean[first::4], 0.6 * strength) * (1 + 0.02 * strength)).clamp(0, 1)
    usual = tuple(t for t in range(len(clean)) if t % 4 != first)
    return Case(flickering, clean, marked=usual)


def soft_frames(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Every second frame is softer."""
    flickering, first = clean.clone(), integer(0, 1, rng)
    flickering[first::2] = softened(clean[first::2], 0.9 * strength)
    return Case(flickering, clean, marked=tuple(range(1 - first, len(clean), 2)))


def key_frames(clean: Tensor, rng: Generator, strength: float) -> Case:
    """A key frame every 8 to 10 frames is sharp; those after it are ever softer."""
    every, start = integer(8, 10, rng), integer(0, 7, rng)
    age = [(t - start) % every for t in range(len(clean))]
    flickering = torch.cat([softened(f[None], 0.9 * strength * k / every) for f, k in zip(clean, age, strict=True)])
    return Case(flickering, clean, marked=tuple(t for t, k in enumerate(age) if k == 0))


def sharpness_step(clean: Tensor, rng: Generator, strength: float) -> Case:
    """From a seam near the middle on, everything is softer."""
    flickering, seam = clean.clone(), len(clean) // 2 + integer(-3, 3, rng)
    flickering[seam:] = softened(clean[seam:], 0.8 * strength)
    return Case(flickering, clean, marked=tuple(range(seam)))

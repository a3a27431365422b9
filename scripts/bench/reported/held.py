"""Frames that are held, and shots of a few frames."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .case import Case
from .drawn import cel
from .light import integer, noise, of_frames, softened, uniform


def _pulldown(frames: int) -> tuple[int, ...]:
    """Number of the picture that each frame shows: held for two and three frames by turns."""
    shown = [number for number in range(frames) for _ in range(2 + number % 2)]
    return tuple(shown[:frames])


def drawings(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Drawn animation on twos and threes: each drawing differs by 4 % in tone, each frame by 1.5 % more."""
    shown = _pulldown(len(clean))
    first = integer(0, 20, rng)
    truth = torch.cat([cel(clean[:1], first + number) for number in range(shown[-1] + 1)])[list(shown)]
    of_drawing = 0.04 * strength * noise(shown[-1] + 1, rng)[list(shown)]
    gain = (of_drawing + 0.015 * strength * noise(len(clean), rng)).exp()
    return Case((truth * of_frames(gain)).clamp(0, 1), truth, drawing=shown)


def pulldown(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Footage with 2:3 pulldown: each picture differs by 6 % in tone, each copy by its own compression."""
    shown = _pulldown(len(clean))
    truth = clean[list(shown)]
    gain = (0.06 * strength * noise(shown[-1] + 1, rng)[list(shown)]).exp()
    grain = softened(torch.randn(truth.shape, generator=rng), 0.7) * (2.0 * strength / 255)
    return Case((truth * of_frames(gain) + grain).clamp(0, 1), truth, drawing=shown)


def cuts(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Shots of two to eight frames, each mirrored another way and exposed differently; every frame differs by 6 %."""
    truth, marked, at, way = torch.empty_like(clean), [], 0, 0
    while at < len(clean):
        length = min(integer(2, 8, rng), len(clean) - at)
        start = integer(0, len(clean) - length, rng)
        shot = clean[start : start + length]
        way = (way + integer(1, 3, rng)) % 4  # never as the shot before: a step of tone alone would be no cut
        mirrored = [side for side, bit in ((-1, 1), (-2, 2)) if way & bit]
        tint = torch.tensor([uniform(0.9, 1.0, rng) for _ in range(3)]).view(1, 3, 1, 1)
        truth[at : at + length] = shot.flip(mirrored) * tint * uniform(0.5, 1.0, rng)
        marked.append(at)
        at += length
    gain = (0.06 * strength * noise(len(clean), rng)).exp()
    return Case((truth * of_frames(gain)).clamp(0, 1), truth, marked=tuple(marked))

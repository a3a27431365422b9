"""Flicker of a part, and things that lie still over a picture that flickers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Generator, Tensor

from .case import Case
from .drawn import digits, grid, over
from .light import exposed, integer, noise, of_frames, uniform

_TILES = (3, 3)
_OVERLAP = 0.2
"""Of a tile's side."""
_BLOCK_FRAMES = 4
"""Frames that a temporal autoencoder decodes at once."""
_BAR = 0.13
"""Height of a black bar, of the picture's."""


def _shaken(clean: Tensor, rng: Generator, stops: float) -> Tensor:
    return exposed(clean, of_frames(stops * noise(len(clean), rng)))


def overlay(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Score, clock, subtitle on a translucent box, crosshair and logo, put on a picture that flickers by a sixth."""
    size = height, width = clean.shape[-2:]
    y, x = grid(size)
    small = max(11, height // 16)
    numbers = [str(integer(10, 99, rng)) for _ in range(6)]
    box = (y > height * 0.82) & (y < height * 0.96) & (x > width * 0.27) & (x < width * 0.77)
    letters = digits(size, (height * 0.04, width * 0.03), small, f"{numbers[0]} {numbers[1]}")
    letters += digits(size, (height * 0.04, width * 0.8), small, f"{numbers[2]} {numbers[3]}")
    letters += digits(size, (height * 0.86, width * 0.32), small, " ".join(numbers))
    thick, long = max(1, height // 150), height / 14
    down, across = (y - height // 2).abs(), (x - width // 2).abs()
    cross = ((down <= thick) & (across < long)) | ((across <= thick) & (down < long))
    logo = torch.hypot(y - height * 0.88, x - width * 0.1) < height / 14

    def finished(frames: Tensor) -> Tensor:
        frames = over(frames, (0.0, 0.0, 0.0), 0.5 * box.float())
        frames = over(frames, (0.92, 0.92, 0.92), letters.clamp(0, 1))
        frames = over(frames, (0.0, 1.0, 0.31), cross.float())
        return over(frames, (0.86, 0.12, 0.16), logo.float())

    solid = (letters > 0) | cross | logo
    shaken = _shaken(clean, rng, 0.23 * strength)
    return Case(finished(shaken), finished(clean), stays=solid[None, None])


def letterbox(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Old film that flickers by a fifth in black bars; a white subtitle stands in the lower one for a third."""
    frames, (height, width) = len(clean), clean.shape[-2:]
    bar = round(_BAR * height)
    picture = torch.zeros(1, 1, height, width)
    picture[..., bar : height - bar, :] = 1
    text = digits(
        (height, width), (height - bar * 0.8, width * 0.3), round(bar * 0.6), str(integer(10**7, 10**8 - 1, rng))
    )
    shown = torch.zeros(frames)
    shown[frames // 3 : 2 * frames // 3] = 1

    def finished(inside: Tensor) -> Tensor:
        return over(inside * picture, (1.0, 1.0, 1.0), of_frames(shown) * text)

    shaken = _shaken(clean, rng, 0.29 * strength)
    return Case(finished(shaken), finished(clean), stays=(picture == 0).expand(frames, -1, -1, -1))


def half(clean: Tensor, rng: Generator, strength: float) -> Case:
    """One side of a hard edge, left, right, upper or lower, flickers by 15 %; the other does not."""
    y, x = grid(clean.shape[-2:])
    side, edge = integer(0, 3, rng), uniform(0.4, 0.6, rng)
    along = (x / clean.shape[-1], y / clean.shape[-2])[side // 2]
    part = (along < edge) if side % 2 else (along >= edge)
    return Case(torch.where(part, _shaken(clean, rng, 0.22 * strength), clean), clean, stays=~part[None, None])


def tiles(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Overlapping tiles, each with a tone of its own for four frames at a time, as an autoencoder decodes them."""
    frames, (height, width) = len(clean), clean.shape[-2:]
    down, across = _sides(height, _TILES[0]), _sides(width, _TILES[1])
    blocks, count = -(-frames // _BLOCK_FRAMES), len(down) * len(across)
    tone = torch.stack([noise(blocks, rng) for _ in range(count)]) * 0.05
    cast = torch.stack([noise(blocks, rng) for _ in range(3 * count)]).view(count, 3, blocks) * 0.015
    values = (strength * (tone[:, None] + cast)).view(len(down), len(across), 3, blocks)
    fields = torch.einsum("ih,jw,ijcb->bchw", down, across, values)
    return Case((clean * (1 + fields.repeat_interleave(_BLOCK_FRAMES, 0)[:frames])).clamp(0, 1), clean)


def _sides(length: int, count: int) -> Tensor:
    """Weights `[count, length]` of tiles along a side; they overlap by slopes and sum to one."""
    place = torch.arange(length) / length * count
    slope = _OVERLAP
    edges = [((place - k) / slope + 0.5).clamp(0, 1) for k in range(1, count)]
    rising = [torch.ones(length), *edges, torch.zeros(length)]
    return torch.stack([a - b for a, b in pairwise(rising)])


def lingering(clean: Tensor, rng: Generator, strength: float) -> Case:
    """A soft patch is lit 10 to 18 % differently for three to six frames and goes back, at random times and places."""
    frames, (height, width) = len(clean), clean.shape[-2:]
    y, x = grid((height, width))
    gain = torch.ones(frames, 1, height, width)
    for _ in range(max(3, frames // 6)):
        length = integer(3, 6, rng)
        start = integer(1, max(1, frames - length - 1), rng)
        cy, cx = uniform(0.1, 0.9, rng) * height, uniform(0.1, 0.9, rng) * width
        radius = uniform(0.06, 0.12, rng) * height
        amount = uniform(0.1, 0.18, rng) * (1 if integer(0, 1, rng) else -1)
        bump = torch.exp(-((y - cy).square() + (x - cx).square()) / (2 * radius**2))
        gain[start : start + length] *= 1 + strength * amount * bump
    return Case((clean * gain).clamp(0, 1), clean)

"""Things drawn by code: digits of seven bars, discs, and the drawings of an animation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .light import softened

_BARS = {
    "a": (0.0, 0.0, 0.1, 1.0), "b": (0.0, 0.85, 0.5, 1.0), "c": (0.5, 0.85, 1.0, 1.0), "d": (0.9, 0.0, 1.0, 1.0),
    "e": (0.5, 0.0, 1.0, 0.15), "f": (0.0, 0.0, 0.5, 0.15), "g": (0.45, 0.0, 0.55, 1.0),
}  # fmt: skip
"""Top, left, bottom and right of each bar, in parts of a digit's height and width."""
_LIT = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")


def digits(size: tuple[int, int], at: tuple[float, float], height: int, text: str) -> Tensor:
    """Coverage `[H, W]`, 0 or 1, of digits whose first one's corner lies at `at` (y, x); other characters are gaps."""
    drawn, (top, left), width = torch.zeros(size), at, max(4, round(height * 0.5))
    for number, character in enumerate(text):
        x0 = left + number * (width + max(2, height // 6))
        for bar in _LIT[int(character)] if character.isdigit() else "":
            upper, near, lower, far = _BARS[bar]
            rows = slice(round(top + upper * height), max(round(top + lower * height), round(top + upper * height) + 2))
            columns = slice(round(x0 + near * width), max(round(x0 + far * width), round(x0 + near * width) + 2))
            drawn[rows, columns] = 1
    return drawn


def grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows and columns of each pixel, `[H, W]`."""
    y, x = torch.meshgrid(torch.arange(size[0]).float(), torch.arange(size[1]).float(), indexing="ij")
    return y, x


def over(frames: Tensor, colour: tuple[float, float, float], coverage: Tensor) -> Tensor:
    """A colour in [0, 1] laid over frames `[T, 3, H, W]` with a coverage `[H, W]` or `[T, 1, H, W]`."""
    return frames + coverage * (torch.tensor(colour).view(3, 1, 1) - frames)


def cel(background: Tensor, number: int) -> Tensor:
    """Drawing `number` of an animation: flat colours with ink lines over a painted background `[1, 3, H, W]`."""
    height, width = background.shape[-2:]
    y, x = grid((height, width))
    body = height / 6
    cy, cx = height * (0.45 + 0.15 * math.sin(0.5 * number)), width * (0.15 + 0.7 * (0.04 * number % 1.0))
    picture = softened(background, 2.5)
    for down, right, radius, colour in (
        (0.0, 0.0, 1.0, (0.94, 0.78, 0.35)),
        (1.4, 0.0, 0.65, (0.78, 0.24, 0.27)),
        (-0.25, -0.35, 0.22, (1.0, 1.0, 1.0)),
        (-0.25, 0.35, 0.22, (1.0, 1.0, 1.0)),
        (-0.25, -0.35, 0.1, (0.08, 0.08, 0.12)),
        (-0.25, 0.35, 0.1, (0.08, 0.08, 0.12)),
    ):
        from_edge = torch.hypot(y - cy - down * body, x - cx - right * body) - radius * body
        picture = over(picture, (0.06, 0.06, 0.08), (2.0 - from_edge.abs()).clamp(0, 1))
        picture = over(picture, colour, (-from_edge - 1).clamp(0, 1))
    return picture

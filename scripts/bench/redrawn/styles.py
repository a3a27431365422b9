"""Stylisation run frame by frame: each frame of clean footage is drawn anew, by other random numbers.

The subject and the tone of the result are steady; its texture is another one in each frame. The footage is its guide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Stylise = Callable[[Tensor, torch.Generator], Tensor]
"""One frame `[3, H, W]` R'G'B' in [0, 1] → the frame, drawn by these random numbers."""

STROKE_PX = (9, 3)
"""Half the length of a stroke, and its width."""
STROKES_APART_PX = 3
CELLS_APART_PX = 8
COLOURS = 10


def strokes(frame: Tensor, random: torch.Generator) -> Tensor:
    """Strokes along edges in random places and order, each a bit lighter or darker than what lies under its middle."""
    height, width = frame.shape[-2:]
    count = height * width // STROKES_APART_PX**2
    smooth = _smooth(frame)
    angles = _edge_angles(smooth).numpy()
    places = (torch.rand(count, 2, generator=random) * torch.tensor([height, width])).numpy()
    light = (1 + 0.24 * (torch.rand(count, generator=random) - 0.5)).numpy()
    turned = (0.4 * torch.randn(count, generator=random)).numpy()
    colours, canvas = smooth.numpy(), smooth.numpy().copy()
    half, wide = STROKE_PX
    for (y, x), brighter, turn in zip(places, light, turned, strict=True):
        row, column = int(y), int(x)
        rows = np.arange(max(0, row - half), min(height, row + half + 1))
        columns = np.arange(max(0, column - half), min(width, column + half + 1))
        angle = angles[row, column] + turn
        dy, dx = rows[:, None] - y, columns[None] - x
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        mask = 0.85 * ((along / half) ** 2 + (across / (wide / 2)) ** 2 < 1).astype(np.float32)
        patch = canvas[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        patch += mask * (colours[:, row, column, None, None] * brighter - patch)
    return torch.from_numpy(canvas).clamp(0, 1)


def mosaic(frame: Tensor, random: torch.Generator) -> Tensor:
    """Cells around random places, each of one colour out of a palette found anew from a random start."""
    height, width = frame.shape[-2:]
    rows, columns = height // CELLS_APART_PX, width // CELLS_APART_PX
    jitter = torch.rand(2, rows + 2, columns + 2, generator=random)
    grid_y, grid_x = torch.meshgrid(torch.arange(rows + 2), torch.arange(columns + 2), indexing="ij")
    seeds = (torch.stack([grid_y, grid_x]) - 1 + jitter) * CELLS_APART_PX
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    cell_y, cell_x = (y / CELLS_APART_PX).long() + 1, (x / CELLS_APART_PX).long() + 1
    nearest, best = torch.zeros(height, width, dtype=torch.long), torch.full((height, width), 1e9)
    for up in (-1, 0, 1):
        for left in (-1, 0, 1):
            row, column = (cell_y + up).clamp(0, rows + 1), (cell_x + left).clamp(0, columns + 1)
            far = (seeds[0, row, column] - y).square() + (seeds[1, row, column] - x).square()
            nearest = torch.where(far < best, row * (columns + 2) + column, nearest)
            best = torch.minimum(best, far)
    count = torch.bincount(nearest.view(-1), minlength=(rows + 2) * (columns + 2)).clamp_min(1)
    sums = torch.zeros(3, len(count)).index_add_(1, nearest.view(-1), frame.reshape(3, -1))
    means = sums / count
    palette = means[:, torch.randperm(means.shape[1], generator=random)[:COLOURS]]
    for _ in range(4):
        label = (means[:, :, None] - palette[:, None]).square().sum(0).argmin(1)
        for each in range(COLOURS):
            if (label == each).any():
                palette[:, each] = means[:, label == each].mean(1)
    near = (means + palette[:, (means[:, :, None] - palette[:, None]).square().sum(0).argmin(1)]) / 2
    return near[:, nearest].clamp(0, 1)


def network(frame: Tensor, random: torch.Generator) -> Tensor:
    """A small network with fixed weights and fresh noise, which etches lines of its own into what it sees."""
    fixed = torch.Generator().manual_seed(1)
    smooth = _smooth(frame)[None]
    noise = torch.randn(1, 4, *frame.shape[-2:], generator=random)
    seen = torch.cat([smooth - 0.5, 0.9 * noise], 1)
    for channels in (16, 16, 8):
        weight = torch.randn(channels, seen.shape[1], 5, 5, generator=fixed) / (5 * seen.shape[1] ** 0.5)
        seen = torch.tanh(2.2 * F.conv2d(F.pad(seen, (2, 2, 2, 2), mode="reflect"), weight))
    drawn = torch.einsum("cd,bdhw->bchw", torch.randn(3, 8, generator=fixed) / 8**0.5, seen)
    drawn = drawn - F.avg_pool2d(drawn, 15, 1, 7, count_include_pad=False)
    contrast = 0.3 * (frame[None] - F.avg_pool2d(frame[None], 9, 1, 4, count_include_pad=False)).abs().mean(1, True)
    contrast = F.avg_pool2d(contrast, 9, 1, 4, count_include_pad=False)
    return (smooth + drawn * (0.05 + contrast))[0].clamp(0, 1)


STYLES: dict[str, Stylise] = {"strokes": strokes, "mosaic": mosaic, "network": network}


def redrawn(frames: Tensor, style: str, seed: int = 0) -> Tensor:
    """Every frame of `[T, 3, H, W]` drawn by itself."""
    random = torch.Generator().manual_seed(seed)
    return torch.stack([STYLES[style](frame, random) for frame in frames])


def _smooth(frame: Tensor) -> Tensor:
    return F.avg_pool2d(frame[None], 3, 1, 1, count_include_pad=False)[0]


def _edge_angles(frame: Tensor) -> Tensor:
    """Direction of the edge at each pixel, from the structure tensor over 15 pixels: `[H, W]`."""
    luma = F.pad(frame.mean(0)[None, None], (1, 1, 1, 1), mode="replicate")
    across, down = luma[..., 1:-1, 2:] - luma[..., 1:-1, :-2], luma[..., 2:, 1:-1] - luma[..., :-2, 1:-1]
    products = torch.cat([across * across, down * down, across * down], 1)
    xx, yy, xy = F.avg_pool2d(products, 15, 1, 7, count_include_pad=False)[0]
    return 0.5 * torch.atan2(2 * xy, xx - yy) + torch.pi / 2

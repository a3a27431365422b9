"""How a course goes from one level to the next: at one rate, as a blend does, or as light does."""

from __future__ import annotations

import torch
from torch import Tensor

_CHANCE = 0.3
"""Squared error, for each number of a path, that says nothing about its shape."""
_STARTS = 0.25 * torch.arange(-16.0, 13.0)
"""When a shape may start, frames after the ramp."""
_LENGTHS = torch.linspace(0.6, 2.0, 29)
"""How long it may take, as a part of the ramp."""
_STEEP = 4.0
"""Time constants in the length of what comes nearer ever more slowly."""


def shape_errors(path: Tensor, start: int, end: int) -> tuple[float, float]:
    """Squared errors of the best ramp at one rate near frames `start` to `end` of `path [n, c]`, and of other shapes.

    The path's errors have variance 1. Other shapes ease in and out, as a hand or a cloud does, or come nearer ever more
    slowly, as automatic exposure does.
    """
    begin, length = torch.meshgrid(start + _STARTS, (end - start) * _LENGTHS, indexing="ij")
    time = (torch.arange(len(path)) - begin[..., None]) / length[..., None]
    share = time.clamp(0, 1)
    one_rate = _least_error(path, share)
    eased = _least_error(path, share.square() * (3 - 2 * share))
    settled = _least_error(path, 1 - (-_STEEP * time.clamp_min(0)).exp())
    chance = _CHANCE * path.numel()
    return one_rate + chance, min(eased, settled) + chance


def _least_error(path: Tensor, shapes: Tensor) -> float:
    """Squared error of the best multiple of any of the shapes `[..., n]`, beside an offset."""
    path = path - path.mean(0)
    shapes = (shapes - shapes.mean(-1, keepdim=True)).flatten(0, -2)
    found = (shapes @ path).square().sum(1) / shapes.square().sum(1).clamp_min(1e-6)
    return float((path.square().sum() - found.max()).clamp_min(0))

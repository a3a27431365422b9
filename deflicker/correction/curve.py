"""The tone curve of a frame: log gain over log level, a few knots from black to white.

z + ε = (y + ε) · exp(g(λ)), λ = log(y + ε): a constant g is a gain, a slope is a gamma, and a bend at the dark
end lifts the blacks. The floor ε makes a lift finite where the picture is black.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLOOR = 0.01
"""ε: light added before taking the logarithm."""
KNOTS = 16
DARKEST, BRIGHTEST = math.log(FLOOR), math.log(1 + FLOOR)
SPACING = (BRIGHTEST - DARKEST) / (KNOTS - 1)
"""Between knots, in log level."""
_MIN_SLOPE = 0.25
"""Of the corrected log level over the level: contrast is never flattened to less, nor turned over."""
_TABLE = 4096
"""Entries of the table by which pixels are looked up: sixteen for a code value of 8 bits."""


def log_level(rgb: Tensor) -> Tensor:
    """λ of R'G'B'."""
    return (rgb.clamp_min(0) + FLOOR).log()


def position(level: Tensor) -> tuple[Tensor, Tensor]:
    """(index of the knot below, weight of the knot above) of log levels."""
    place = ((level - DARKEST) / SPACING).clamp(0, KNOTS - 1)
    below = place.floor().clamp_max(KNOTS - 2)
    return below.long(), place - below


def gain_at(curve: Tensor, level: Tensor) -> Tensor:
    """g at log levels `[..., N]` of curves `[..., KNOTS]`, straight between knots."""
    below, weight = position(level)
    curve = curve.expand(*level.shape[:-1], KNOTS)
    return torch.lerp(curve.gather(-1, below), curve.gather(-1, below + 1), weight)


def rising(curve: Tensor) -> Tensor:
    """The curve `[..., KNOTS]` made gentle enough to keep the order of levels, white where it was.

    Most curves come back as they are.
    """
    steps = curve.diff(dim=-1).clamp_min((_MIN_SLOPE - 1) * SPACING)
    rises = torch.cat([steps.flip(-1).cumsum(-1).flip(-1), torch.zeros_like(curve[..., -1:])], -1)
    return curve[..., -1:] - rises


def apply_curve(rgb: Tensor, curve: Tensor) -> Tensor:
    """R'G'B' `[..., 3, H, W]` under curves `[..., 3, KNOTS]`, never pushed past white or below black.

    Values already beyond 0 … 1 may stay there but go no further; inside they move with the nearest end of the curve.
    """
    level = torch.linspace(0, 1, _TABLE, device=rgb.device)
    change = (level + FLOOR) * torch.expm1(gain_at(curve, log_level(level).expand(*curve.shape[:-1], _TABLE)))
    index = (rgb.flatten(-2) * (_TABLE - 1)).round().clamp(0, _TABLE - 1).long()
    curved = rgb + change.gather(-1, index).view_as(rgb)
    return torch.maximum(torch.minimum(curved, rgb.clamp_min(1)), rgb.clamp_max(0))

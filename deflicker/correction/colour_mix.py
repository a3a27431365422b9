"""Colour mixing: what colours become where greys stay as they are.

z = y + Θ (R − Y, B − Y): saturation, hue and a wrong matrix change what a colour is by its distance from grey, which
no gain or curve of the channels can say. Y is luma by ITU-R BT.709; Θ is `[3, 2]`, its rows R', G' and B'.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.media.color import BT709


def from_grey(like: Tensor) -> Tensor:
    """Matrix `[2, 3]` taking R'G'B' to (R − Y, B − Y)."""
    luma = like.new_tensor(BT709)
    return torch.eye(3, dtype=like.dtype, device=like.device)[::2] - luma


def apply_mix(rgb: Tensor, mix: Tensor) -> Tensor:
    """R'G'B' `[..., 3, H, W]` under mixes `[..., 3, 2]`, never pushed past white or below black."""
    matrix = mix @ from_grey(rgb)
    mixed = rgb + torch.einsum("...ij,...jhw->...ihw", matrix, rgb)
    return torch.maximum(torch.minimum(mixed, rgb.clamp_min(1)), rgb.clamp_max(0))

"""Colour mixing: what colours become where greys stay as they are.

z = y + Θ (R − Y, B − Y): saturation, hue and a wrong matrix change what a colour is by its distance from grey, which
no gain or curve of the channels can say. Y is luma by ITU-R BT.709; Θ is `[3, 2]`, its rows R', G' and B'. Mixes one
after the other multiply, as gains do; so Λ = log(I + Θ (R − Y, B − Y)), written as `[3, 2]` as well, adds up.
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


def log_of_matrix(matrix: Tensor) -> Tensor:
    """Λ `[..., 3, 2]` of matrices M `[..., 3, 3]` that leave greys as they are: Λ (R − Y, B − Y) = log M.

    Two terms of log M = 2 artanh X, X = (M − I)(M + I)⁻¹: one in a hundred too small for a factor of three.
    """
    unit = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    half = torch.linalg.solve_ex(matrix + unit, matrix - unit, left=False)[0].clamp(-1, 1)
    log: Tensor = 2 * (half + half @ half @ half / 3) @ _without_luma(matrix)
    return log


def mix_of_log(log: Tensor) -> Tensor:
    """Θ `[..., 3, 2]` of Λ. What keeps luma in Λ keeps it in Θ, however large it is."""
    eighth = log @ from_grey(log) / 8
    square = eighth @ eighth
    change = eighth + square / 2 + eighth @ square / 6
    for _ in range(3):  # e²ˣ − 1 from eˣ − 1
        change = 2 * change + change @ change
    mix: Tensor = change @ _without_luma(log)
    return mix


def _without_luma(like: Tensor) -> Tensor:
    """Matrix `[3, 2]` taking (R − Y, B − Y) to R'G'B' whose luma is 0."""
    red, green, blue = BT709
    return like.new_tensor([[1, 0], [-red / green, -blue / green], [0, 1]])

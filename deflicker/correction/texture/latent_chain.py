"""The energy of a window of latents along one path of motion, and its minimum in closed form.

A point's latents x_k in the frames of a window, brought to the middle frame, form a chain in time. Wanted are u_k with

    E(u) = Σ_k m_k ‖u_k − x_k‖² + Σ_k λ_k (‖u_{k+1} − u_k‖² + α ‖u_{k+2} − 2 u_{k+1} + u_k‖²) + a ‖u_0 − x_a‖²

that is, fidelity where a frame is seen (m), the temporal loss ‖z_t − z_{t−1}‖² + α ‖∇_t² z_t‖² along visible links (λ,
which is 0 across an occlusion and where nothing boils), and an anchor (a). E is quadratic, with one small matrix per
place that all channels share: the minimum is a weighted mean of the x_k, with weights that are found for all places at
once. For α = 0 it is the Kalman smoother of a random walk (Rauch, Tung, Striebel 1965), λ being the variance of boil
over that of all other change.
"""

from __future__ import annotations

import torch
from torch import Tensor


def middle_weights(
    seen: Tensor, links: Tensor, *, curvature: float, pull: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weights `[N, ...]` of the latents in the minimum's middle one, and `[...]` of its anchor.

    seen: m `[N, ...]`, N odd, 1 for the middle frame; links: λ `[N − 1, ...]`. They sum to 1. With all links 0 and no
    anchor the middle latent has 1 and the others exactly 0.
    """
    count, middle = len(seen), len(seen) // 2
    matrix = torch.diag_embed(seen.movedim(0, -1))
    for k in range(count - 1):
        _add(matrix, {k: -1.0, k + 1: 1.0}, links[k])
    for k in range(count - 2):
        _add(matrix, {k: 1.0, k + 1: -2.0, k + 2: 1.0}, curvature * torch.minimum(links[k], links[k + 1]))
    held = torch.zeros_like(links[0]) if pull is None else pull
    _add(matrix, {middle: 1.0}, held)
    # A hidden frame that nothing links to has no equation: any number will do for it.
    alone = (matrix.diagonal(dim1=-2, dim2=-1) == 0).to(matrix)
    unit = torch.zeros_like(matrix[..., :1])
    unit[..., middle, 0] = 1
    response = torch.linalg.solve(matrix + torch.diag_embed(alone), unit)[..., 0].movedim(-1, 0)
    return response * seen, response[middle] * held


def _add(matrix: Tensor, row: dict[int, float], weight: Tensor) -> None:
    """Add the normal matrix of weight · (Σ row_i u_i)²."""
    for i, a in row.items():
        for j, b in row.items():
            matrix[..., i, j] += a * b * weight

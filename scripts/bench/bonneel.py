"""Blind video temporal consistency: gradients from each frame, levels from the result before it, along motion.

Bonneel, Tompkin, Sunkavalli, Sun, Paris, Pfister, "Blind Video Temporal Consistency", SIGGRAPH Asia 2015, with RAFT's
flow in place of PatchMatch. Frame after frame, from O_0 = P_0, it solves

    (L + Λ) O_t = L P_t + Λ W(O_{t−1})

with L the Laplacian of the pixel grid. λ = 1 as in the authors' code. The method wants a steady source video, from
which Λ tells where to trust the past. Where there is none, both variants here take Λ from the flickering clip itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.warp import warp

from .motion import Motion, NeedsMotion

SIGMA = 0.05
"""Of the gate by colour, in R'G'B' of 1: the authors'."""
STRUCTURE_SIGMA = 0.1
"""Of the gate by structure: the threshold that nodes without a source video ask of colour."""
BORDER_PX = 2
"""Width of the rim where the past is not trusted."""
ALIGN_PX = 33
"""Window whose mean tone is evened out before structure is compared."""

Gate = Callable[[Tensor, Tensor], Tensor]
"""(S_t, W(S_{t−1})), `[1, 3, H, W]` each → trust in [0, 1], `[1, 1, H, W]`."""


def bonneel(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """The paper's gate, the flickering clip in the place of the source video: Λ = exp(−|P_t − W P_{t−1}|² / 2 σ²).

    Flicker of more than σ shuts it.
    """
    return propagated(flickering, motion(), by_colour, flickering)


def bonneel_flow(flickering: Tensor, motion: NeedsMotion) -> Tensor:
    """Gated by flow: trust where going there and back agrees, and structure does once tone is evened out.

    Λ = exp(−|P_t − g · W P_{t−1}|² / 2 σ²), σ = 0.1, with g the ratio of both pictures' means over 33 px. Flicker of
    tone does not shut it, however large.
    """
    return propagated(flickering, motion(), by_structure, flickering)


def by_colour(now: Tensor, past: Tensor) -> Tensor:
    """Gate of the paper."""
    return _closeness(now, past, SIGMA)


def by_structure(now: Tensor, past: Tensor) -> Tensor:
    """Gate that does not see smooth changes of tone."""
    mean_now, mean_past = (
        F.avg_pool2d(each, ALIGN_PX, 1, ALIGN_PX // 2, count_include_pad=False) for each in (now, past)
    )
    return _closeness(now, past * (mean_now + 1 / 255) / (mean_past + 1 / 255), STRUCTURE_SIGMA)


def _closeness(now: Tensor, past: Tensor, sigma: float) -> Tensor:
    return (-(now - past).square().sum(1, keepdim=True) / (2 * sigma**2)).exp()


def propagated(flickering: Tensor, flow: Motion, gate: Gate, gated_by: Tensor) -> Tensor:
    """Frame after frame from the first, Λ from another clip of the same size."""
    result = [flickering[0]]
    inner = torch.zeros(1, 1, *flickering.shape[-2:])
    inner[..., BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1
    for t in range(1, len(flickering)):
        now, back_px = flickering[t : t + 1], flow.back_px[t - 1 : t]
        seen, seen_before = gated_by[t : t + 1], warp(gated_by[t - 1 : t], back_px)
        weight = gate(seen, seen_before) * inner * flow.back_visible[t - 1 : t]
        result.append(screened_poisson(now, warp(result[-1][None], back_px), weight)[0])
    return torch.stack(result).clamp(0, 1)


def laplace(image: Tensor) -> Tensor:
    """L, the graph Laplacian of the pixel grid (positive), `[B, C, H, W]`; nothing flows over the border."""
    x, y = image.diff(dim=-1), image.diff(dim=-2)
    out = torch.zeros_like(image)
    out[..., :-1] -= x
    out[..., 1:] += x
    out[..., :-1, :] -= y
    out[..., 1:, :] += y
    return out


def screened_poisson(frame: Tensor, past: Tensor, weight: Tensor, iterations: int = 200) -> Tensor:
    """Solve (L + Λ) O = L P + Λ Q by conjugate gradients with Jacobi's preconditioner, from O = P.

    frame P, past Q `[1, C, H, W]`, weight Λ `[1, 1, H, W]`. A whisper of weight keeps it solvable where Λ vanishes.
    """
    held = weight + 1e-6
    right = laplace(frame) + weight * past + 1e-6 * frame
    diagonal = laplace_diagonal(frame) + held
    solution = frame.clone()
    residual = right - laplace(solution) - held * solution
    ready = residual / diagonal
    direction, energy = ready, (residual * ready).sum()
    start = energy
    for _ in range(iterations):
        if energy <= 1e-8 * start or energy <= 1e-20:
            break
        image = laplace(direction) + held * direction
        length = energy / (direction * image).sum()
        solution = solution + length * direction
        residual = residual - length * image
        ready = residual / diagonal
        energy, before = (residual * ready).sum(), energy
        direction = ready + energy / before * direction
    return solution


def laplace_diagonal(image: Tensor) -> Tensor:
    """Number of neighbours of each pixel, `[1, 1, H, W]`."""
    count = torch.full((1, 1, *image.shape[-2:]), 4.0)
    for edge in (count[..., 0], count[..., -1], count[..., 0, :], count[..., -1, :]):
        edge -= 1
    return count

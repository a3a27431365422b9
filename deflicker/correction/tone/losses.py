"""The losses that tone correction minimises, as pure functions: tensors in, one number out, all differentiable.

They are written on log gains, where a multiplicative correction is additive and the losses become quadratic. The
solvers minimise them in closed form, and a run with `-v` reports their values; tests hold the solvers to them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deflicker.metrics.temporal_losses import temporal_smoothness_loss


def fidelity_loss(correction: Tensor, weight: Tensor | None = None) -> Tensor:
    """Σ w |correction|²: what keeps the input as it is. Any shape; the weight has the same, or none weighs 1."""
    return (correction.square() if weight is None else weight * correction.square()).sum()


def reference_anchor_loss(left: Tensor, weight: Tensor) -> Tensor:
    """Σ w |log I_ref − log I_t|²: distance of tone to a reference along long-range motion, both of one shape."""
    return (weight * left.square()).sum()


def tone_energy(
    first_order: Tensor,
    second_order: Tensor,
    unknowns: Tensor,
    *,
    first_weight: Tensor,
    second_weight: Tensor,
    fidelity_weight: Tensor | float,
) -> Tensor:
    """The quadratic that the tone solver minimises over a window (sums, not means).

    E = Σ w₂ q² + Σ β w₁ r² + Σ κ u², with r = c(x+f) − c(x) + d the tone step left along motion (flow-warp loss),
    q = r₊ + r₋ its second difference (temporal smoothness) and u the unit-variance unknowns of the correction
    (fidelity). `first_weight` contains β, and `fidelity_weight` κ, the variance of the residual, and the number of
    cells that an unknown stands for.
    """
    weight = fidelity_weight if isinstance(fidelity_weight, Tensor) else unknowns.new_tensor(fidelity_weight)
    smoothness = temporal_smoothness_loss(first_order, second_order, first_weight, second_weight)
    return smoothness + fidelity_loss(unknowns, weight)


def centring_loss(correction: Tensor, means: Tensor) -> Tensor:
    """Σ |G c|²: what pulls the mean of the correction over a while to zero, and leaves its changes alone.

    correction: `[T, ...]`, of cells less the whole picture's mean; means: G, `[T, T]`, from `local_means`. Flicker goes
    both ways, while errors of the steps add up to a drift that no step shows. Scale-time equalisation (Delon, IEEE TIP
    2006) holds quantiles to their mean over a while in the same belief.
    """
    return (means @ correction.flatten(1)).square().sum()


def local_means(frames: int, sigma_frames: float, *, device: torch.device | str = "cpu") -> Tensor:
    """G, `[T, T]`: the mean around each frame of a window, weighed by a Gaussian over time; rows sum to 1."""
    time = torch.arange(frames, device=device, dtype=torch.float32)
    weight = torch.exp(-((time[:, None] - time) ** 2) / (2 * sigma_frames**2))
    return weight / weight.sum(1, keepdim=True)


def anchor_energy(
    step_left: Tensor, reference_left: Tensor, *, step_weight: Tensor, reference_weight: Tensor
) -> Tensor:
    """The quadratic that reference anchoring minimises over a window, for one log gain per region and frame (sums).

    E = Σ w (a_{t+k} − a_t + d_k)² + Σ w (a_ref − a_t + d_ref)²: the tone step left between neighbours and the one left
    to the reference.
    """
    return (step_weight * step_left.square()).sum() + reference_anchor_loss(reference_left, reference_weight)

"""The losses that tone correction minimises, as pure functions: tensors in, one number out, all differentiable.

They are written on log gains, where a multiplicative correction is additive and the losses become quadratic. The
solvers minimise them in closed form, and a run with `-v` reports their values; tests hold the solvers to them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _weighted_mean(error: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return error.mean()
    weight = weight.expand_as(error)
    return (error * weight).sum() / weight.sum().clamp_min(1e-6)


def flow_warp_loss(image: Tensor, warped: Tensor, visible: Tensor | None = None, *, power: float = 1.0) -> Tensor:
    """Flow-warp consistency Σ V |I_t − W(I_{t−1})|^p, as a mean over what is visible.

    image, warped: `[T, C, H, W]`; visible: `[T, 1, H, W]`. Lai et al., ECCV 2018, eq. 3 (p = 1; their
    metric has p = 2).
    """
    return _weighted_mean((image - warped).abs() ** power, visible)


def temporal_smoothness_loss(values: Tensor, *, alpha: float = 0.3, weight: Tensor | None = None) -> Tensor:
    """Σ |z_t − z_{t−1}|² + α |z_{t+1} − 2 z_t + z_{t−1}|², means over time and place.

    values: `[T, ...]`, aligned along motion by the caller. alpha: 0.1 to 0.5 is the useful range. weight: `[T, ...]`,
    that of the middle frame; a difference weighs the smaller of its frames' weights.
    """
    if len(values) < 2:
        return values.sum() * 0
    pair_weight = None if weight is None else torch.minimum(weight[1:], weight[:-1])
    loss = _weighted_mean((values[1:] - values[:-1]).square(), pair_weight)
    if len(values) > 2:
        triple_weight = None if pair_weight is None else torch.minimum(pair_weight[1:], pair_weight[:-1])
        loss = loss + alpha * _weighted_mean((values[2:] - 2 * values[1:-1] + values[:-2]).square(), triple_weight)
    return loss


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
    steps = (second_weight * second_order.square()).sum() + (first_weight * first_order.square()).sum()
    return steps + fidelity_loss(unknowns, weight)


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

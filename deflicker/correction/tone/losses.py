"""The losses, as pure functions. Tensors in, one number out; all are differentiable and none knows a device.

Two forms stand side by side: on images `[T, 3, H, W]` as the literature writes them, and on log-gain fields of cells,
where a multiplicative correction is additive and the losses become quadratic. The solver minimises the second; the
metrics and the reference solver use both. `weight`s are visibility or trust in [0, 1] and broadcast.
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


def reference_anchor_loss(image: Tensor, reference: Tensor, visible: Tensor | None = None) -> Tensor:
    """Σ V |I_t − W(I_ref)|²: distance to a reference frame brought along long-range motion.

    Shapes as in `flow_warp_loss`.
    """
    return _weighted_mean((image - reference).square(), visible)


def fidelity_loss(correction: Tensor, weight: Tensor | None = None) -> Tensor:
    """Σ |correction|²: the pull to leave the input alone."""
    return _weighted_mean(correction.square(), weight)


def tone_energy(
    first_order: Tensor,
    second_order: Tensor,
    latent: Tensor,
    *,
    first_weight: Tensor,
    second_weight: Tensor,
    first_order_share: float,
    fidelity_share: Tensor | float,
) -> Tensor:
    """The quadratic the tone solver minimises over a window (sums, not means).

    E = Σ w₂ q² + β Σ w₁ r² + κ Σ u², with r = c(x+f) − c(x) + d the tone step left along motion (flow-warp loss),
    q = r₊ + r₋ its second difference (temporal smoothness) and u the unit-variance latents of the correction
    (fidelity), each times the root of the cells it stands for. β is `first_order_share`; κ is `fidelity_share`,
    which includes a variance, and is one number or one for each latent.
    """
    return (
        (second_weight * second_order.square()).sum()
        + first_order_share * (first_weight * first_order.square()).sum()
        + (fidelity_share * latent.square()).sum()
    )


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
    """The quadratic the anchors minimise over a window, for one log gain per region and frame (sums, not means).

    E = Σ w (a_{t+k} − a_t + d_k)² + Σ w (a_ref − a_t + d_ref)²: the tone step left between neighbours and the one left
    to the reference (`reference_anchor_loss` in the logarithm, on regions).
    """
    return (step_weight * step_left.square()).sum() + (reference_weight * reference_left.square()).sum()

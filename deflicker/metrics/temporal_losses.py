"""The two losses of temporal consistency that metrics and solvers share, as differentiable functions of tensors.

The warping error is `flow_warp_loss`; the energies of tone correction contain `temporal_smoothness_loss`.
"""

from __future__ import annotations

from torch import Tensor

from deflicker.metrics.align import masked_mean


def flow_warp_loss(image: Tensor, warped: Tensor, visible: Tensor | None = None, *, power: float = 1.0) -> Tensor:
    """Flow-warp consistency V |I_t − W(I_{t−1})|^p of each frame, `[T]`: its mean over visible pixels and channels.

    image, warped: `[T, C, H, W]`; visible: `[T, 1, H, W]` in [0, 1]; all pixels count where it is None, or empty.
    Lai et al., ECCV 2018 (arXiv:1808.00449): p = 1 is the loss (equation 3), p = 2 the warping error (equation 7).
    """
    error = (image - warped).abs() ** power
    return error.mean((1, 2, 3)) if visible is None else masked_mean(error, visible)


def temporal_smoothness_loss(
    first_difference: Tensor, second_difference: Tensor, first_weight: Tensor, second_weight: Tensor
) -> Tensor:
    """Σ α₁ |z_t − z_{t−1}|² + Σ α₂ |z_{t+1} − 2 z_t + z_{t−1}|², a scalar.

    Differences are taken along motion by the caller, who knows which of them exist. Each weight has the shape of its
    difference, or broadcasts to it, and contains visibility as well as the weight of its term.
    """
    return (second_weight * second_difference.square()).sum() + (first_weight * first_difference.square()).sum()

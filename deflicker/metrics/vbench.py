"""VBench's scores of steadiness that need no further network, for comparison with published tables.

Huang et al., VBench, CVPR 2024 (arXiv:2311.17982). Both hardly see flicker (clean and flickering footage differ by
0.01) and a frozen or blurred video scores best.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STATIC_PART = 3 / 256
"""Motion, as a part of the shorter side, from which a frame counts as moving."""


def change(here: Tensor, later: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, `[n]` in code values of 255: R'G'B' `[n, 3, H, W]` in [0, 1]."""
    return 255 * (later - here).abs().mean((1, 2, 3))


def temporal_flickering(changes: Tensor) -> Tensor:
    """(255 − mean change) / 255, in [0, 1]; changes `[N]`, those of NaN left out."""
    return (255 - changes.nanmean()) / 255


def top_motion(flow_px: Tensor) -> Tensor:
    """Mean length of the fastest 2 % of flow vectors, `[n]` in pixels: what VBench's filter of static videos uses."""
    length = flow_px.square().sum(1).sqrt().flatten(1)
    return length.topk(max(1, round(0.02 * length.shape[1])), dim=1).values.mean(1)


def is_static(motions: Tensor, shorter_side_px: int) -> bool:
    """Whether VBench would score temporal flickering on this video at all: at most an eighth of its frames move.

    motions: `[N]`, `top_motion` of neighbours; NaN counts as no motion.
    """
    moving = motions.nan_to_num(0) > _STATIC_PART * shorter_side_px
    return bool(moving.sum() <= round(2 * len(motions) / 16))


def interpolation_error(
    earlier: Tensor, here: Tensor, later: Tensor, earlier_visible: Tensor, later_visible: Tensor
) -> Tensor:
    """Mean absolute error of a frame predicted from its neighbours, `[n]` in [0, 1].

    VBench's motion smoothness asks an interpolation network (AMT-S); here the prediction is the mean of the neighbours
    brought along the flow, one of them where only one is visible, and pixels that neither shows are left out.
    `motion_smoothness` is 1 minus its mean. Pictures `[n, 3, H, W]` in [0, 1], visibility `[n, 1, H, W]` in {0, 1}.
    """
    weight = earlier_visible + later_visible
    predicted = (earlier * earlier_visible + later * later_visible) / weight.clamp_min(1)
    seen = (weight > 0).to(here.dtype)
    return ((predicted - here).abs() * seen).sum((1, 2, 3)) / (3 * seen.sum((1, 2, 3))).clamp_min(1)


def motion_smoothness(errors: Tensor) -> Tensor:
    """1 − mean interpolation error, in [0, 1]; errors `[N]`, those of NaN left out."""
    return 1 - torch.nanmean(errors)

"""The best result in reach: what a solver would give that removes all flicker and cannot see what never changes.

Without the truth nobody can tell a picture from the same picture under an offset that is constant. A perfect solver is
therefore granted two offsets of the input against the truth, and nothing else:

- of tone: x · exp(c̄), c̄ = mean over the clip of c = log(y / x) on cells of 16 px (per channel, ratio of cell means),
  enlarged bilinearly;
- of texture, for kinds that draw it anew: the mean along each point's trajectory of y · exp(−c) − x, as long as the
  point is seen. A point seen in n frames keeps a n-th of its boil's energy.

It is a bound in spirit, not a theorem: with luck, or with a prior on what looks natural, a result may land above it.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.warp import warp

from . import texture_flicker
from .motion import Motion
from .scores import psnr

CELL_PX = 16
TEXTURE_KINDS = frozenset({"boil", "mixed", "colour-mixed", *texture_flicker.TEXTURE_KINDS})
"""Kinds of flicker that draw texture anew."""


def oracle_psnr(
    flickering: Tensor, truth: Tensor, motion: Motion, *, texture: bool, shown: Tensor | None = None
) -> float:
    """PSNR of the best result in reach, dB.

    flickering y, truth x: `[T, 3, H, W]` R'G'B' in [0, 1]; motion: the truth's; texture: whether texture flickers too.
    shown: the truth as a codec shows it, where the flickering clip went through one: its loss is no flicker.
    """
    x = truth if shown is None else shown
    size = (x.shape[-2], x.shape[-1])
    y_cells, x_cells = (
        F.avg_pool2d(clip, CELL_PX, ceil_mode=True, count_include_pad=False) for clip in (flickering, x)
    )
    cells = ((y_cells + 1 / 255) / (x_cells + 1 / 255)).log()
    best = x * _enlarged(cells.mean(0, keepdim=True), size).exp()
    if texture:
        best = best + mean_along(flickering * _enlarged(-cells, size).exp() - x, motion)
    return psnr(best.clamp(0, 1), truth)


def _enlarged(cells: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(cells, size=size, mode="bilinear", align_corners=False)


def mean_along(values: Tensor, motion: Motion) -> Tensor:
    """Mean of `values [T, C, H, W]` over the frames in which each pixel's point is seen without a break.

    Samples are taken at the nearest pixel: a mean of interpolated noise would be smaller than it is.
    """
    counted = F.pad(values, (0, 0, 0, 0, 0, 1), value=1.0)  # a channel that counts frames
    past, future = counted.clone(), counted.clone()
    for t in range(1, len(values)):
        step = slice(t - 1, t)
        past[t : t + 1] += motion.back_visible[step] * warp(past[t - 1 : t], motion.back_px[step], "nearest")
    for t in reversed(range(len(values) - 1)):
        step = slice(t, t + 1)
        future[step] += motion.ahead_visible[step] * warp(future[t + 1 : t + 2], motion.ahead_px[step], "nearest")
    total = past + future - counted
    return total[:, :-1] / total[:, -1:]

"""The flicker index: how much tone shakes, once motion, fades and trends are taken out.

For every cell followed along its motion, q = L(t+1) − 2 L(t) + L(t−1) is the second difference of its luma, measured on
the pixels visible both ways and divided by √6, the factor by which independent noise grows in it. Motion does not
count because cells are followed, a fade does not because its second difference vanishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.media.color import bt709_luma
from deflicker.motion.correspondence import Match
from deflicker.motion.filters import cell_means
from deflicker.motion.warp import warp


@stored
@dataclass(frozen=True, eq=False)
class FlickerSums:
    """Sums over frames, to be added up over windows."""

    whole: Tensor
    """Σ over frames of the whole picture's squared q, code values of 255."""
    local: Tensor
    """Σ over frames and cells of weight · q²."""
    frames: Tensor
    weight: Tensor

    def __add__(self, other: FlickerSums) -> FlickerSums:
        return FlickerSums(
            self.whole + other.whole, self.local + other.local, self.frames + other.frames, self.weight + other.weight
        )

    def index(self) -> tuple[float, float] | None:
        """(whole, local) root mean squares in code values of 255; None where no frame had two neighbours."""
        means = (self.whole / self.frames).sqrt(), (self.local / self.weight).sqrt()
        frames, weight, whole, local = torch.stack([self.frames, self.weight, *means]).tolist()  # one wait
        return None if frames == 0 or weight == 0 else (whole, local)


def flicker_sums(frames: Tensor, matches: Mapping[int, Match], first: int, last: int) -> FlickerSums:
    """Sums over the frames `first … last - 1` that have a frame before and after them.

    frames: `[T, 3, H, W]` R'G'B' in [0, 1]; matches: at +1 and -1, the same for before and after a correction.
    """
    zero = frames.new_zeros(())
    first, last = max(first, 1), min(last, len(frames) - 1)
    if first >= last or 1 not in matches:
        return FlickerSums(zero, zero, zero, zero)
    luma = bt709_luma(frames)[:, None] * 255
    ahead, behind = matches[1], matches[-1]
    visible = ahead.visible[first:last] * behind.visible[first - 1 : last - 1]
    later = warp(luma[first + 1 : last + 1], ahead.flow_px[first:last])
    earlier = warp(luma[first - 1 : last - 1], behind.flow_px[first - 1 : last - 1])
    shake = tone_shake(earlier, luma[first:last], later, visible)
    return FlickerSums(shake.whole.square().sum(), shake.local.sum(), zero + (last - first), shake.weight.sum())


@dataclass(frozen=True, eq=False)
class Shake:
    """How much the tone of `n` frames shakes, in code values of 255."""

    whole: Tensor
    """`[n, C]`: second difference of the whole picture's tone, signed."""
    local: Tensor
    """`[n, C]`: Σ over cells of weight · q²."""
    weight: Tensor
    """`[n]`: Σ over cells of weight, each the share of its pixels that is visible."""


def tone_shake(earlier: Tensor, here: Tensor, later: Tensor, visible: Tensor) -> Shake:
    """Second difference in time, over √6, of the mean tone of cells and of the whole picture.

    earlier, here, later: `[n, C, H, W]` code values of 255, the neighbours brought to where `here` is; visible:
    `[n, 1, H, W]` in {0, 1}, seen in all three.
    """
    curve = (later - 2 * here + earlier) * visible
    weight = cell_means(visible)
    second_difference = cell_means(curve) / weight.clamp_min(1e-6) / 6**0.5
    mass = weight.sum((1, 2, 3))
    whole = (second_difference * weight).sum((2, 3)) / mass.clamp_min(1e-6)[:, None]
    return Shake(whole, (second_difference.square() * weight).sum((2, 3)), mass)

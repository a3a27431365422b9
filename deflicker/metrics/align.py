"""Samples of the same point in neighbouring frames, side by side: what every metric along motion is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.media.color import bt709_luma
from deflicker.motion.correspondence import Match
from deflicker.motion.warp import warp

_TO_CB, _TO_CR = 1.8556, 1.5748


@dataclass(frozen=True, eq=False)
class Aligned:
    """Frames `first … last - 1` as another frame shows them, brought to where they are."""

    samples: Tensor
    """`[n, C, H, W]`; zero where there is no such frame."""
    visible: Tensor
    """`[n, 1, H, W]` in {0, 1}; zero where there is no such frame."""
    exists: Tensor
    """`[n]` bool: whether the frame this far away is there."""


def to_ycc(frames: Tensor) -> Tensor:
    """R'G'B' `[..., 3, H, W]` in [0, 1] → Y', Cb, Cr (ITU-R BT.709) in code values of 255, chroma around 0."""
    luma = bt709_luma(frames)
    blue, red = frames[..., 2, :, :], frames[..., 0, :, :]
    return 255 * torch.stack([luma, (blue - luma) / _TO_CB, (red - luma) / _TO_CR], -3)


def align(planes: Tensor, matches: Mapping[int, Match], offset: int, first: int, last: int) -> Aligned:
    """Planes `[T, C, H, W]` of the frames `offset` later, brought to the frames `first … last - 1` by bilinear warp."""
    n, match = max(0, last - first), matches.get(offset)
    if match is None:
        none = planes.new_zeros(n, planes.shape[1] + 1, *planes.shape[-2:])
        return Aligned(none[:, 1:], none[:, :1], torch.zeros(n, dtype=torch.bool, device=planes.device))
    low, high = max(first, match.start), min(last, match.start + len(match.flow_px))
    low, high = min(low, last), max(high, min(low, last))
    theirs = slice(low - match.start, high - match.start)
    samples, visible = warp(planes[low + offset : high + offset], match.flow_px[theirs]), match.visible[theirs]
    around = (0, 0) * 3 + (low - first, last - high)  # frames without that neighbour, before and after
    exists = torch.zeros(n, dtype=torch.bool, device=planes.device)
    exists[low - first : high - first] = True
    if any(around):
        samples, visible = F.pad(samples, around), F.pad(visible, around)
    return Aligned(samples, visible, exists)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over channels and the pixels of the mask: `[n, C, H, W]` and `[n, 1, H, W]` → `[n]`.

    Over all pixels where the mask is empty, as Lai et al. do.
    """
    mask = torch.where(mask.sum((1, 2, 3), keepdim=True) > 0, mask, torch.ones_like(mask))
    return (values * mask).sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * values.shape[1])


def where_exists(values: Tensor, *aligned: Aligned) -> Tensor:
    """Per-frame values `[n, ...]` with NaN where one of the frames compared is not there."""
    there = torch.stack([one.exists for one in aligned]).all(0)
    return values.masked_fill(~there.view(-1, *[1] * (values.ndim - 1)), float("nan"))

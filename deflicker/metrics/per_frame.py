"""Every metric of a window of frames that needs no network: one number per frame and metric.

Videos that show the same thing, such as one before and after its correction, are measured side by side: with the same
flow, the same visibility and one warp for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.metrics.align import Aligned, align, to_ycc, where_exists
from deflicker.metrics.boil import boil_parts, finest_band, interior
from deflicker.metrics.flicker import tone_shake
from deflicker.metrics.seams import tone_step
from deflicker.metrics.variance import trajectory_variance
from deflicker.metrics.vbench import change, interpolation_error
from deflicker.metrics.warp_error import ewarp_l1, ewarp_mse, lai_visible
from deflicker.motion.correspondence import Match

LAGS = (1, 2)
"""Frame distances whose matches are needed."""
CONTEXT = 2
"""Frames before and after those measured that must be in the window, where the shot has them."""
CHANNELS = ("y", "cb", "cr")
FIELDS = (
    *(f"whole_{c}" for c in CHANNELS),
    *(f"local_{c}" for c in CHANNELS),
    "weight",
    *(f"step_{c}" for c in CHANNELS),
    *("ewarp_mse", "ewarp_l1", "trajectory", "boil_along", "boil_across", "change", "interpolation"),
)
"""What `measure_window` gives for each frame; see the functions it calls."""


def measure_window(sides: Tensor, matches: Mapping[int, Match], first: int, last: int) -> Tensor:
    """`[S, n, F]` for the frames `first … last - 1`, in the order of `FIELDS`; NaN where a neighbour is missing.

    sides: `[S, T, 3, H, W]` R'G'B' in [0, 1]; matches: at the signed `LAGS`, shared by all sides.
    """
    count = len(sides)
    bands = finest_band(to_ycc(sides.flatten(0, 1))[:, :1]).reshape(*sides.shape[:2], 1, *sides.shape[-2:])
    planes = torch.cat([sides, bands], 2).transpose(0, 1).flatten(1, 2)
    planes = torch.cat([planes, interior(bands[0])], 1)  # [T, 4 S + 1, H, W]
    near = {offset: align(planes, matches, offset, first, last) for offset in (1, -1, 2, -2)}
    mask = _lai_mask(planes, matches, first, last)
    rows = []
    for side in range(count):
        channels = [*range(4 * side, 4 * side + 4), 4 * count]
        here = planes[first:last, channels]
        own = {k: Aligned(a.samples[:, channels], a.visible, a.exists) for k, a in near.items()}
        rows.append(_measure_side(here, own, mask, sides[side], first, last))
    return torch.stack(rows)


def _lai_mask(planes: Tensor, matches: Mapping[int, Match], first: int, last: int) -> Tensor:
    mask = planes.new_zeros(last - first, 1, *planes.shape[-2:])
    if 1 in matches:
        ahead, behind = matches[1].flow_px[first:last], matches[-1].flow_px[first:last]
        mask[: len(ahead)] = lai_visible(ahead, behind)
    return mask


def _measure_side(
    here: Tensor, near: Mapping[int, Aligned], mask: Tensor, frames: Tensor, first: int, last: int
) -> Tensor:
    """`[n, F]`; here, near: colours, finest band and its interior, of the frames and of their neighbours at them."""
    later, earlier = near[1], near[-1]
    rgb, ycc = here[:, :3], to_ycc(here[:, :3])
    later_ycc, earlier_ycc = to_ycc(later.samples[:, :3]), to_ycc(earlier.samples[:, :3])
    both = later.visible * earlier.visible
    shake = tone_shake(earlier_ycc, ycc, later_ycc, both)
    step = tone_step(ycc, later_ycc, later.visible)
    seen = [a.visible for a in near.values()]
    lumas = [
        ycc[:, :1],
        later_ycc[:, :1],
        earlier_ycc[:, :1],
        _luma(near[2].samples[:, :3]),
        _luma(near[-2].samples[:, :3]),
    ]
    bands = [here[:, 3:4], *(a.samples[:, 3:4] for a in near.values())]
    inside = [here[:, 4:], *(a.samples[:, 4:] * a.visible for a in near.values())]
    along, across = boil_parts(bands, inside)
    changes = here.new_full((len(here),), float("nan"))
    pairs = frames[first : last + 1]
    changes[: len(pairs) - 1] = change(pairs[:-1], pairs[1:])[: len(here)]
    error = interpolation_error(earlier.samples[:, :3], rgb, later.samples[:, :3], earlier.visible, later.visible)
    numbers = [
        *where_exists(shake.whole, later, earlier).unbind(1),
        *where_exists(shake.local, later, earlier).unbind(1),
        where_exists(shake.weight, later, earlier),
        *where_exists(step, later).unbind(1),
        where_exists(ewarp_mse(rgb, later.samples[:, :3], mask), later),
        where_exists(ewarp_l1(rgb, later.samples[:, :3], later.visible), later),
        where_exists(trajectory_variance(lumas, seen), *near.values()),
        where_exists(along, *near.values()),
        where_exists(across, *near.values()),
        changes,
        where_exists(error, later, earlier),
    ]
    return torch.stack(numbers, 1)


def _luma(rgb: Tensor) -> Tensor:
    return to_ycc(rgb)[:, :1]

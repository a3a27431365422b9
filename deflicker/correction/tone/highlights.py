"""What a clipped highlight should show.

A sample at white was cut off there: its true light is unknown, so a gain below 1 would turn a lamp grey. The same point
in neighbouring frames tells more. Where it is not clipped, its corrected value is the answer; where it is, that value
is a lower bound. The largest of them is what the sample is kept at; where no neighbour is visible, it stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.correspondence import Match
from deflicker.motion.warp import warp

_CLIPPED = 0.97
"""R'G'B' from which a sample may have been cut off."""
_NEIGHBOURS = (1, -1, 2, -2)
_PASSES = 2
"""How often neighbours learn from their neighbours in turn: a lamp may be clipped in a run of darkened frames."""


def highlight_light(
    frames: Tensor, relit: Tensor, matches: Mapping[int, Match], first: int, last: int
) -> Tensor | None:
    """R'G'B' `[last - first, 3, H, W]` that clipped samples of frames `first … last - 1` are kept at, or None.

    frames: `[T, 3, H, W]` in [0, 1] as they are; relit: the same, corrected. None where nothing is clipped.
    """
    if float(frames[first:last].max()) < _CLIPPED:
        return None
    light = relit
    for _ in range(_PASSES):
        light = torch.where(frames >= _CLIPPED, torch.minimum(frames, _brightest(frames, light, matches)), relit)
    return light[first:last]


def _brightest(frames: Tensor, light: Tensor, matches: Mapping[int, Match]) -> Tensor:
    """The most light any visible neighbour shows at each point, itself included; the frame where none is visible."""
    most, seen = light.clone(), torch.zeros_like(light[:, :1])
    for match in (matches[offset] for offset in _NEIGHBOURS if offset in matches):
        rows = slice(match.start, match.start + len(match.flow_px))
        there = warp(light[match.start + match.offset : rows.stop + match.offset], match.flow_px)
        there = _most_around(there * match.visible)
        most[rows] = torch.maximum(most[rows], there)
        seen[rows] = torch.maximum(seen[rows], match.visible)
    return torch.where(seen > 0, most, frames)


def _most_around(light: Tensor) -> Tensor:
    """The maximum over 3 × 3 pixels: a lamp's edge is where flow is least exact. (Much faster than pooling is.)"""
    padded = F.pad(light, (1, 1, 1, 1), mode="replicate")
    rows = torch.maximum(torch.maximum(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])

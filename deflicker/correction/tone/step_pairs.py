"""Which steps of tone stay: those that no other step takes back within a few frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.seam_detection import StepFit, fit_steps
from deflicker.correction.tone.trend import without_trend
from deflicker.motion.correspondence import Match

_PAIR_FRAMES = 6
"""Frames within which a second step makes a pair of the two: chunks are longer …"""
_PAIR_SIZE = 0.4
"""… its least size, as a part of the first's: beside seams nothing above 0.25 is seen, in pairs 0.5 and more …"""
_EXPLAINED_PAIR = 0.3
"""… and the least fraction of the tone's change that it must explain."""
_SAME_WAY = 0.8
"""Correlation of two steps over regions from which they do not make a pair, whatever their distance."""


def lasting(
    steps: Mapping[int, Step], matches: Mapping[int, Match], fit: StepFit, jumps: Mapping[int, Tensor]
) -> dict[int, Tensor]:
    """The jumps but for those that another step as large, and another way, follows or precedes within a few frames.

    Light that goes back after four frames, or blocks of frames with a tone of their own, make pairs of steps. With one
    of a pair taken off, all frames after it would be wrong.

    steps, matches: by their offset in frames; fit: of the steps; jumps: log gain `[3, h, w]` by the frame that each
    lies before.
    """
    if not jumps:
        return {}
    frames = len(fit.size) + 1
    left = fit_steps(without_jumps(steps, frames, jumps), matches, frames)
    seams = [frame - 1 for frame in jumps]
    # A boundary's own step where it is a seam, else the one that is left there.
    direction, size = left.step.clone(), left.size * (left.explained >= _EXPLAINED_PAIR)
    for boundary in seams:
        direction[boundary], size[boundary] = fit.step[boundary], fit.size[boundary]
    direction = F.normalize(direction, dim=1)
    *same_way, sizes = torch.cat(
        [torch.stack([direction[boundary] for boundary in seams]) @ direction.T, size[None]]
    ).tolist()
    return {b + 1: jumps[b + 1] for b, row in zip(seams, same_way, strict=True) if not _is_pair(b, sizes, row)}


def _is_pair(boundary: int, sizes: Sequence[float], same_way: Sequence[float]) -> bool:
    """Whether a step as large, but another way, is near a boundary: an exposure's steps all go the same way.

    sizes: of the steps over all boundaries; same_way: their correlation with this one over regions.
    """
    near = range(max(0, boundary - _PAIR_FRAMES), min(len(sizes), boundary + _PAIR_FRAMES + 1))
    least = _PAIR_SIZE * sizes[boundary]
    return any(b != boundary and sizes[b] >= least and same_way[b] < _SAME_WAY for b in near)


def without_jumps(steps: Mapping[int, Step], frames: int, jumps: Mapping[int, Tensor]) -> dict[int, Step]:
    """The steps without what jumps make of them.

    frames: T of the window; jumps: log gain `[3, h, w]` by the frame each lies before, and that all later ones have.
    """
    like = steps[1].log_ratio
    path = like.new_zeros(frames, *like.shape[1:])
    for frame, jump in jumps.items():
        path[frame:] += jump
    return {offset: without_trend(step, path) for offset, step in steps.items()}

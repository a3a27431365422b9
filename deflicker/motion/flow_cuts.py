"""Cuts that likeness alone does not show, as between a picture and its mirror image, or two shots of one layout.

Block by block two such pictures may be about as alike as the strictest bound of `cuts.py` allows. No motion leads from
one to the other, though: forward and backward flow agree hardly anywhere, and the picture brought along them is not the
one that is there. That alone is no cut. Water and redrawn texture look so between all neighbours, hence both are judged
by what is usual within the shot, and nothing is cut where motion is seldom seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from deflicker.motion.cuts import likeness
from deflicker.motion.warp import resize_flow, visibility, warp

_WIDTH_PX, _TOLERANCE_PX = 256, 0.35
"""The error that a round trip along flow may have at this width; less in proportion on smaller maps."""
_USUAL_RANK = 3
"""A third of the pairs of a shot agree less than is usual: several cuts may be missed in few frames. Where half of the
pictures are drawn anew, in copies that differ by their compression, that is usual."""
_FEWEST = 4
"""Pairs of neighbours from which a shot has a usual agreement."""
_LEAST_USUAL = 0.6
"""Visible part and correlation that must be usual for a shot to be cut."""
_VISIBLE_PART = 0.45
"""Part of the usual visible part below which a pair may be a cut. Across missed cuts it is up to 0.28, between
redrawn frames that were drawn much anew at least 0.58."""
_CORRELATION_PART = 0.35
"""The same of the correlation: up to 0.3 across missed cuts, at least 0.42 between pictures of one shot."""
_LEAST_STRUCTURE = 0.1
"""Mean square of a structure map below which a picture is as good as empty: it is fading, or a flash."""
_COMES_BACK = 0.1
"""Likeness by which the picture after an odd frame is nearer than that frame to the picture before it."""


Agreement = tuple[float, float]
"""Part of a picture visible in the other both ways, and how well the two correlate along the flow."""
Triple = tuple[Tensor, Tensor, Tensor | None]
"""Structure (`cuts.structure`), `[1, h, w]`, of the picture before, of a picture, and of the one after it; None where
no picture of the shot comes after it."""


def agreements(first: Tensor, second: Tensor, forward_px: Tensor, backward_px: Tensor) -> list[Agreement]:
    """How well flow joins pairs of pictures; one wait for the device. With an empty picture, all agrees.

    first, second: their structure, `[n, 1, h, w]`. forward_px, backward_px: flow first → second and
    back, `[n, 2, H, W]`.
    """
    there_px, back_px = (resize_flow(each, first.shape[-2:], antialias=True) for each in (forward_px, backward_px))
    tolerance_px = _TOLERANCE_PX * max(first.shape[-2:]) / _WIDTH_PX
    both = ((there_px, back_px), (back_px, there_px))
    visible = torch.minimum(*(visibility(*each, tolerance_px=tolerance_px).mean((1, 2, 3)) for each in both))
    alike = torch.maximum(_correlation(first, warp(second, there_px)), _correlation(second, warp(first, back_px)))
    empty = torch.minimum(first.square().mean((1, 2, 3)), second.square().mean((1, 2, 3))) < _LEAST_STRUCTURE
    pairs = torch.where(empty[:, None], 1.0, torch.stack([visible, alike], 1)).tolist()
    return [(part, correlation) for part, correlation in pairs]


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Of each pair of zero-mean maps: `[n, 1, h, w]` twice → `[n]`; 0 where there is no structure."""
    energies = first.square().sum((1, 2, 3)) * second.square().sum((1, 2, 3))
    return (first * second).sum((1, 2, 3)) / energies.sqrt().clamp_min(1e-6)


class FlowCutFinder:
    """Judges the pairs of neighbours within the shots that `CutFinder` leaves.

    It remembers nothing across those shots: a segment of a stream finds what the whole finds.
    """

    def __init__(self) -> None:
        self._usual = deque[Agreement](maxlen=24)
        self._after_odd = False

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {"usual": list(self._usual), "after_odd": self._after_odd}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._usual = deque(state["usual"], maxlen=self._usual.maxlen)
        self._after_odd = state["after_odd"]

    def start_shot(self) -> None:
        """Forget the shot before."""
        self._usual.clear()
        self._after_odd = False

    def openings(self, triples: Sequence[Triple], forward_px: Tensor, backward_px: Tensor) -> list[bool]:
        """Which pictures begin a shot, of those that flow joins to the picture before them.

        forward_px, backward_px: that flow and the one back, `[n, 2, H, W]`. One wait for the device.
        """
        before, at = (torch.stack(each) for each in list(zip(*triples, strict=True))[:2])
        pairs = agreements(before, at, forward_px, backward_px)
        self._usual.extend(pairs)
        found = []
        for pair, triple in zip(pairs, triples, strict=True):
            lost = self._is_lost(pair) and not self._after_odd
            odd = lost and _comes_back(*triple)
            found.append(lost and not odd)
            self._after_odd = odd
        return found

    def _is_lost(self, pair: Agreement) -> bool:
        """Whether motion, usually seen in this shot, does not lead from one picture to the other."""
        if len(self._usual) < _FEWEST:
            return False
        visible, alike = (sorted(each)[len(each) // _USUAL_RANK] for each in zip(*self._usual, strict=True))
        is_seen: bool = min(visible, alike) >= _LEAST_USUAL
        return is_seen and pair[0] < _VISIBLE_PART * visible and pair[1] < _CORRELATION_PART * alike


def _comes_back(before: Tensor, at: Tensor, after: Tensor | None) -> bool:
    """Whether the picture before an odd one is seen again after it."""
    if after is None:
        return False
    near, around = likeness(before.expand(2, -1, -1, -1), torch.stack([at, after])).tolist()
    return bool(around > near + _COMES_BACK)

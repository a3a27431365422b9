"""Other ways to hold what is redrawn: recursion, and blind video temporal consistency with the source it asks for.

All take the redrawn clip and its source, `[T, 3, H, W]` R'G'B' in [0, 1], and motion along which they hold: the
source's, or the redrawn clip's own where they are blind.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.warp import warp

from ..bonneel import by_colour, by_structure, propagated
from ..motion import Motion

Method = Callable[[Tensor, Tensor, Motion], Tensor]

RECURSION_SHARES = (0.5, 0.8, 0.9)
_LARGE_PX = 31
"""Window of the means that are the picture in the large."""
_LARGE_APART = 0.1
"""How far two pictures may differ in the large, in R'G'B' of 1, to be mixed."""


def recursion(share: float) -> Method:
    """So much of the result before, brought here along motion, where flow there and back agrees and the two do not
    differ much in the large; the frame's own elsewhere."""

    def run(drawn: Tensor, source: Tensor, motion: Motion) -> Tensor:
        result = [drawn[0]]
        for t in range(1, len(drawn)):
            now, before = drawn[t : t + 1], warp(result[-1][None], motion.back_px[t - 1 : t])
            apart = F.avg_pool2d(now - before, _LARGE_PX, 1, _LARGE_PX // 2, count_include_pad=False)
            agrees = (apart.abs().amax(1, keepdim=True) < _LARGE_APART) * motion.back_visible[t - 1 : t]
            result.append((now + share * agrees * (before - now))[0])
        return torch.stack(result)

    return run


def bonneel(drawn: Tensor, source: Tensor, motion: Motion) -> Tensor:
    """The paper's method, with the source video that it was written for."""
    return propagated(drawn, motion, by_colour, gated_by=source)


def bonneel_blind(drawn: Tensor, source: Tensor, motion: Motion) -> Tensor:
    """The same without a source: trust is taken from the redrawn clip's own structure."""
    return propagated(drawn, motion, by_structure, gated_by=drawn)


GUIDED: dict[str, Method] = {f"recursion {share}": recursion(share) for share in RECURSION_SHARES} | {
    "bonneel": bonneel
}
"""Methods that are given the source."""
BLIND: dict[str, Method] = {"recursion 0.8, blind": recursion(0.8), "bonneel, blind": bonneel_blind}
"""Methods that see the redrawn clip alone."""

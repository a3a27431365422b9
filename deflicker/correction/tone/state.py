"""The values that travel between windows: what a window sees, what it decides, what the next one must know."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.curve import KNOTS
from deflicker.correction.tone.colour_flicker import MixMemory
from deflicker.correction.tone.reference_anchor import AnchorMemory
from deflicker.correction.tone.seam_correction import SeamMemory
from deflicker.correction.tone.seam_detection import REGIONS
from deflicker.motion.correspondence import LongMatch


@dataclass(frozen=True, eq=False)
class Window:
    """New pictures of one shot, in order, with the flow that leads to each from the one before."""

    proxies: Tensor
    """`[N, 3, H, W]` R'G'B' in [0, 1]."""
    forward_px: Tensor
    """`[M, 2, H, W]`: flow to each picture from the one before it; M = N, or N - 1 where the shot begins here."""
    backward_px: Tensor
    """`[M, 2, H, W]`: flow back from each picture."""
    core: int
    """How many of the pictures this window decides, counted from the first."""
    long_matches: tuple[LongMatch, ...] = ()
    """From some of the pictures to the reference, or to the shot's first where none is given."""
    reference: Tensor | None = None
    """`[3, H, W]`: the picture the user wants the look of."""
    gaps: tuple[int, ...] = ()
    """Pictures that others lie before that are not here: light may have changed meanwhile, so no seam is seen."""


@stored
@dataclass(frozen=True, eq=False)
class State:
    """The end of what has been decided. Empty at the beginning of a shot."""

    proxies: Tensor
    """`[H, 3, H, W]`."""
    forward_px: Tensor
    """`[H - 1, 2, H, W]` between them."""
    backward_px: Tensor
    tone: Tensor
    """`[H, 3, h, w]`: the log gain they were given against flicker, on cells."""
    curve: Tensor
    """`[H, 3, KNOTS]`: and over levels."""
    mixes: MixMemory
    """And of colours."""
    rolling: Tensor | None
    """`[H, 3, h, 1]`: and against bands of mains light, by rows of cells; None for nothing."""
    seams: SeamMemory
    """What they were given against seams, and where those were."""
    anchors: AnchorMemory
    """How far they had drifted, and from what."""

    @classmethod
    def empty(cls, like: Window, cells: tuple[int, int]) -> State:
        """The state before a shot's first window."""
        none = like.proxies[:0]
        no_gain, no_curve = none.new_zeros(0, 3, *cells), none.new_zeros(0, 3, KNOTS)
        no_flow, no_drift = none[:, :2], AnchorMemory(none.new_zeros(0, 3, *REGIONS))
        mixes = MixMemory.empty(none)
        return cls(none, no_flow, no_flow, no_gain, no_curve, mixes, None, SeamMemory(no_gain), no_drift)


def join(state: State, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """(proxies, forward, backward) of history and window as one run."""
    return (
        torch.cat([state.proxies, window.proxies]),
        torch.cat([state.forward_px, window.forward_px]),
        torch.cat([state.backward_px, window.backward_px]),
    )

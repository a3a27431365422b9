"""The values that travel between windows: what a window sees, what it decides, what the next one must know."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.curve import KNOTS


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


@dataclass(frozen=True, eq=False)
class State:
    """The end of what has been decided. Empty at the beginning of a shot."""

    proxies: Tensor
    """`[H, 3, H, W]`."""
    forward_px: Tensor
    """`[H - 1, 2, H, W]` between them."""
    backward_px: Tensor
    log_gain: Tensor
    """`[H, 3, h, w]`: the correction they were given, on cells."""
    curve: Tensor
    """`[H, 3, KNOTS]`: and over levels."""

    @classmethod
    def empty(cls, like: Window, cells: tuple[int, int]) -> State:
        """The state before a shot's first window."""
        none = like.proxies[:0]
        return cls(none, none[:, :2], none[:, :2], none.new_zeros(0, 3, *cells), none.new_zeros(0, 3, KNOTS))


def join(state: State, window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """(proxies, forward, backward) of history and window as one run."""
    return (
        torch.cat([state.proxies, window.proxies]),
        torch.cat([state.forward_px, window.forward_px]),
        torch.cat([state.backward_px, window.backward_px]),
    )

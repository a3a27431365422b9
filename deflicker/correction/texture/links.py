"""What texture is compared by: luma of pictures at their own size, and the exact motion between two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from deflicker.correction.texture.luma_chroma import LumaChroma, to_luma_chroma
from deflicker.motion.filters import length
from deflicker.motion.lucas_kanade import even_luma, refine
from deflicker.motion.warp import compose, resize_flow, round_trip

SLACK_PX = 1.0
"""Gap of flow there and back that still counts as visible; much of it is boil's doing."""


@dataclass(frozen=True, eq=False)
class View:
    """What is looked at of a picture."""

    luma: Tensor
    """`[1, 1, H, W]` in [0, 1], tone corrected."""
    even: Tensor
    """`even_luma` of it."""
    chroma: Tensor
    """`[1, 2, ⌈H / 2⌉, ⌈W / 2⌉]`: differences of colour (`planes`)."""

    @classmethod
    def of(cls, rgb: Tensor) -> View:
        """The view of R'G'B' `[3, H, W]`."""
        planes = to_luma_chroma(rgb[None])
        return cls(planes.luma, even_luma(planes.luma), planes.chroma)

    @property
    def planes(self) -> LumaChroma:
        """Its luma and differences of colour."""
        return LumaChroma(self.luma, self.chroma)


@dataclass(frozen=True, eq=False)
class Link:
    """Motion between a picture and the one before it, at the luma's size."""

    there_px: Tensor
    """`[1, 2, H, W]`: from the picture before to this one."""
    back_px: Tensor
    there_visible: Tensor
    """`[1, 1, H, W]` in {0, 1}."""
    back_visible: Tensor
    there_error_px: Tensor
    """`[1, 1, H, W]`: how wrong the way there may be."""
    back_error_px: Tensor

    @classmethod
    def between(cls, before: View, here: View, forward_px: Tensor, backward_px: Tensor) -> Link:
        """The motion whose rough flow on proxies is `forward_px`, from `before` to `here`, and back: `[2, h, w]`."""
        size = here.even.shape[-2:]
        there_px = refine(before.even, here.even, resize_flow(forward_px[None], size))
        back_px = refine(here.even, before.even, resize_flow(backward_px[None], size))
        (there, there_gap_px), (back, back_gap_px) = (
            round_trip(one, other, tolerance_px=SLACK_PX) for one, other in ((there_px, back_px), (back_px, there_px))
        )
        errors = _error_px(there_px, there, there_gap_px), _error_px(back_px, back, back_gap_px)
        return cls(there_px, back_px, there, back, *errors)

    def reversed(self) -> Link:
        """The same motion the other way."""
        return Link(
            self.back_px,
            self.there_px,
            self.back_visible,
            self.there_visible,
            self.back_error_px,
            self.there_error_px,
        )


def walked(links: Iterable[Link]) -> list[tuple[Tensor, Tensor]]:
    """Flow and visibility from where the first link begins to where each of them ends."""
    ways: list[tuple[Tensor, Tensor]] = []
    for link in links:
        step = link.there_px, link.there_visible
        ways.append(compose(*ways[-1], *step) if ways else step)
    return ways


def walked_home(links: Iterable[Link]) -> list[tuple[Tensor, Tensor]]:
    """Flow and visibility from where each link begins to where the first of them ends."""
    ways: list[tuple[Tensor, Tensor]] = []
    for link in links:
        step = link.there_px, link.there_visible
        ways.append(compose(*step, *ways[-1]) if ways else step)
    return ways


def _error_px(flow_px: Tensor, visible: Tensor, gap_px: Tensor) -> Tensor:
    """How wrong flow may be, `[1, 1, H, W]`: more for long ways, gaps on the way back, hidden places."""
    error: Tensor = 0.02 + 0.02 * length(flow_px) + gap_px.clamp(max=2) / 2 + 1 - visible
    return error

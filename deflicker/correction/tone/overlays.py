"""What lies still over the picture keeps its values: scores, logos, subtitles, crosshairs, bars, frames of screens.

Letters that were put on a finished picture do not flicker with it, and a gain of the cells beneath would make them
flicker. A pixel tells by itself. Over a few frames, let Δy be its changes and Δc those that its correction makes. Where
the correction takes flicker out, the pixel has at least that flicker: Σ Δy² ≥ Σ Δc². Where Σ Δy² is much less, the
pixel is stiller than its correction, and is left as it is.

Both sums are taken ahead of a frame and behind it, so that a subtitle is kept from its first frame to its last, and a
pixel stays kept while it stays still and its correction says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.core.memory import OVERLAY_REACH
from deflicker.core.oom import OomFallback, moved
from deflicker.correction.types import FrameRecord
from deflicker.motion.filters import box_mean, ramp, sum_of

_LENGTHS = (OVERLAY_REACH // 2, OVERLAY_REACH)
"""Changes that are added up on a side; the fewer for what shows for a third of a second."""
_STILL = (0.2, 0.45)
"""Energy of a pixel's changes, in units of its correction's, up to which it is kept, and from which it is not."""
_LEAST = 1.5 / 255
"""Root mean square change of the correction, R'G'B', below which it tells nothing."""
_UNMOVED = 3.0 / 255
"""Change from one frame to the next, R'G'B', up to which a kept pixel may be the same."""
_NEIGHBOURS = 3 / 9
"""Part of the 3 × 3 pixels around one, itself included, that must be as still: one alone is chance."""


@stored
@dataclass(frozen=True, eq=False)
class Changes:
    """From one frame to the next."""

    seen: Tensor
    """`[H, W]`: mean of Δy² over R', G' and B'."""
    done: Tensor
    """`[H, W]`: of Δc²."""


@dataclass(frozen=True, eq=False)
class _Pixels:
    """A frame's R'G'B' `[3, H, W]`, and what its correction adds."""

    seen: Tensor
    added: Tensor


class OverlayStage:
    """The stage that keeps what lies still over the picture. Frames come out in order, `OVERLAY_REACH` frames late.

    Frames without a correction cost nothing. Nothing is carried across a shot's end, and skipped frames pass by.
    """

    def __init__(self, size: tuple[int, int], device: torch.device, fallback: OomFallback | None = None) -> None:
        """size: height and width at which pixels are looked at; fallback: as `overlay_fallback` gives it."""
        self._size, self._device = size, device
        self._fallback = fallback or overlay_fallback()
        self._frames: list[FrameRecord] = []
        """Those that wait, and before them those that were given out and are still looked at."""
        self._given = 0
        self._kept: Tensor | None = None
        """`[1, H, W]` in [0, 1]: how far the last frame given was kept as it is."""
        self._pixels: dict[int, _Pixels] = {}
        self._changes: dict[int, Changes | None] = {}

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame; the frames that are decided by now."""
        if record.starts_shot:
            yield from self.finish()
        self._frames.append(record)
        while self._is_next_ready():
            yield from self._give(self._given + 1)

    def finish(self) -> Iterator[FrameRecord]:
        """The frames that are left."""
        yield from self._give(len(self._frames))
        self._frames, self._given, self._kept = [], 0, None
        self._pixels, self._changes = {}, {}

    def state_dict(self) -> dict[str, object]:
        """All that it remembers; what can be seen again is left out."""
        return {"frames": self._frames, "given": self._given, "kept": self._kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._frames, self._given, self._kept = list(state["frames"]), state["given"], state["kept"]
        self._pixels, self._changes = {}, {}

    def _is_next_ready(self) -> bool:
        waiting = self._frames[self._given :]
        shown = sum(each.skip is None for each in waiting)
        return bool(waiting) and (
            waiting[0].skip is not None or shown > OVERLAY_REACH or len(waiting) > 3 * OVERLAY_REACH
        )

    def _give(self, end: int) -> Iterator[FrameRecord]:
        while self._given < end:
            yield self._decided(self._given)
            self._given += 1
        shown = [at for at in range(self._given) if self._frames[at].skip is None]
        first = shown[-OVERLAY_REACH] if len(shown) > OVERLAY_REACH else 0
        self._frames, self._given = self._frames[first:], self._given - first
        self._pixels = {at - first: each for at, each in self._pixels.items() if at >= first}
        self._changes = {at - first: each for at, each in self._changes.items() if at > first}

    def _decided(self, at: int) -> FrameRecord:
        record = self._frames[at]
        if record.skip is not None:
            return record
        if record.correction is None:
            self._kept = None
            return record
        self._kept = self._fallback.run(lambda level: self._still(at, on_cpu=level > 0))
        if self._kept is None:
            return record
        as_it_is = (self._kept * 255).round().to(torch.uint8).to(record.correction.log_gain.device)
        return replace(record, correction=replace(record.correction, as_it_is=as_it_is))

    def _still(self, at: int, *, on_cpu: bool) -> Tensor | None:
        """How far each pixel of a frame is kept as it is, `[1, H, W]` in [0, 1]; None where none is."""
        if on_cpu and self._device.type != "cpu":
            self._device, self._pixels, self._kept = torch.device("cpu"), {}, moved(self._kept, "cpu")
            self._changes = moved(self._changes, "cpu")
        shown = [n for n, each in enumerate(self._frames) if each.skip is None]
        here = shown.index(at)
        pairs = list(pairwise(shown))
        behind = [self._change(*pair) for pair in pairs[max(0, here - OVERLAY_REACH) : here]]
        ahead = [self._change(*pair) for pair in pairs[here : here + OVERLAY_REACH]]
        told = torch.zeros(1, *self._size, device=self._device)
        for side in (behind[::-1], ahead):
            for length in _LENGTHS:
                told = torch.maximum(told, still_pixels(side[:length], told))
        if self._kept is not None:
            told = torch.maximum(told, still_kept(self._kept, behind, ahead))
        # On a GPU, a map of nothing costs less than to wait for the word that it is.
        return told if told.device.type != "cpu" or bool(told.any()) else None

    def _change(self, before: int, after: int) -> Changes | None:
        """None where neither frame is corrected."""
        if after not in self._changes:
            if self._frames[before].correction is None and self._frames[after].correction is None:
                self._changes[after] = None
            else:
                first, second = self._look(before), self._look(after)
                seen, done = second.seen - first.seen, second.added - first.added
                self._changes[after] = Changes(seen.square().mean(0), done.square().mean(0))
                self._pixels.pop(before, None)
        return self._changes[after]

    def _look(self, at: int) -> _Pixels:
        if at not in self._pixels:
            record = self._frames[at]
            if record.picture is None:
                raise ValueError("a frame comes with its picture")
            seen = record.picture.rgb(self._size, self._device)
            correction = moved(record.correction, self._device)
            added = torch.zeros_like(seen) if correction is None else correction.applied(seen) - seen
            self._pixels[at] = _Pixels(seen, added)
        return self._pixels[at]


def overlay_fallback() -> OomFallback:
    """What becomes of the search for overlays where memory ends."""
    return OomFallback("looking for overlays", ("on the CPU",))


def still_pixels(changes: Sequence[Changes | None], like: Tensor) -> Tensor:
    """How far pixels are stiller than their correction over consecutive changes, `[1, H, W]` in [0, 1].

    like: of the same shape. Fewer changes than `_LENGTHS` has say nothing: what moves may cancel a gain by chance.
    """
    told = [each for each in changes if each is not None]
    if len(told) < _LENGTHS[0]:
        return torch.zeros_like(like)
    seen, done = sum_of([each.seen for each in told])[None], sum_of([each.done for each in told])[None]
    still = 1 - ramp(seen / done.clamp_min(1e-9), (_STILL))
    still = still * (done >= len(told) * _LEAST**2)
    return still * (box_mean((still > 0.5).to(still.dtype), 1) >= _NEIGHBOURS - 1e-3)


def still_kept(kept: Tensor, behind: Sequence[Changes | None], ahead: Sequence[Changes | None]) -> Tensor:
    """What of the kept pixels `[1, H, W]` stays kept: those that did not move and whose correction says nothing new."""
    last = behind[-1] if behind else None
    if last is None:
        return kept
    quiet = (last.seen <= _UNMOVED**2).to(kept.dtype)
    for side in (behind, ahead):
        told = [each.done for each in side if each is not None]
        if told:
            quiet = quiet * (sum_of(told) < len(told) * _LEAST**2)
    return kept * quiet

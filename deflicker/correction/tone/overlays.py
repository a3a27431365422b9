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
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.core.memory import OVERLAY_REACH
from deflicker.core.oom import OomFallback, moved
from deflicker.correction.types import FrameRecord
from deflicker.motion.filters import box_mean, ramp, sum_of

_HALF = OVERLAY_REACH // 2
"""Changes that are added up on a side, as well as `OVERLAY_REACH`: for what shows for a third of a second."""
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
    """From one frame to the next, or summed over several frames in turn."""

    seen: Tensor
    """`[H, W]`: mean of Δy² over R', G' and B'."""
    done: Tensor
    """`[H, W]`: of Δc²."""
    count: int = 1
    """How many changes were summed."""


@dataclass(frozen=True, eq=False)
class _Told:
    """What consecutive changes say of the frames at both their ends."""

    still: Tensor | None
    """`[1, H, W]` bytes, 0 to 255: how far pixels are stiller than their correction; None where none is."""
    silent: Tensor
    """`[H, W]`, true where the correction tells nothing."""


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
        """`[1, H, W]` bytes, 0 to 255: how far the last frame given was kept as it is."""
        self._forget()

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
        self._forget()

    def state_dict(self) -> dict[str, object]:
        """All that it remembers; what can be seen again is left out."""
        return {"frames": self._frames, "given": self._given, "kept": self._kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._frames, self._given, self._kept = list(state["frames"]), state["given"], state["kept"]
        self._forget()

    def _forget(self) -> None:
        """Leave out what can be seen again."""
        self._pixels: dict[int, _Pixels] = {}
        self._changes: dict[int, Changes | None] = {}
        """By the frame to which the change leads."""
        self._halves: dict[int, Changes | None] = {}
        """Sums of `_HALF` changes, by the first of them."""
        self._told: dict[tuple[int, int], _Told | None] = {}
        """By the first and the last change."""

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
        self._halves = {at - first: each for at, each in self._halves.items() if at > self._given + first}
        self._told = {(at - first, end - first): told for (at, end), told in self._told.items() if at > first}

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
        as_it_is = self._kept.to(record.correction.log_gain.device)
        return replace(record, correction=replace(record.correction, as_it_is=as_it_is))

    def _still(self, at: int, *, on_cpu: bool) -> Tensor | None:
        """How far each pixel of a frame is kept as it is, `[1, H, W]` bytes; None where none is."""
        if on_cpu and self._device.type != "cpu":
            self._device, self._kept = torch.device("cpu"), moved(self._kept, "cpu")
            self._forget()
        shown = [n for n, each in enumerate(self._frames) if each.skip is None]
        here = shown.index(at)
        pairs = list(pairwise(shown))
        behind, ahead = pairs[max(0, here - OVERLAY_REACH) : here], pairs[here : here + OVERLAY_REACH]
        sides = [told for side in (behind, ahead) if side and (told := self._tell(side))]
        nearest = [told for side in (behind[-_HALF:], ahead[:_HALF]) if side and (told := self._tell(side))]
        still = [told.still for told in (*sides, *nearest) if told.still is not None]
        if self._kept is not None:
            still.append(still_kept(self._kept, self._change(*behind[-1]) if behind else None, sides))
        found = reduce(torch.maximum, still) if still else None
        return None if found is None or _is_surely_none(found) else found

    def _tell(self, pairs: Sequence[tuple[int, int]]) -> _Told | None:
        """What consecutive changes say: those behind their last frame and ahead of their first are the same."""
        ends = pairs[0][1], pairs[-1][1]
        if ends not in self._told:
            changes = self._sum(pairs)
            self._told[ends] = None
            if changes is not None:
                silent = changes.done < changes.count * _LEAST**2
                self._told[ends] = _Told(still_pixels(changes, silent), silent)
        return self._told[ends]

    def _sum(self, pairs: Sequence[tuple[int, int]]) -> Changes | None:
        """Consecutive changes added up; None where no frame is corrected."""
        if len(pairs) > _HALF:
            return _added([self._sum(pairs[:_HALF]), self._sum(pairs[_HALF:])])
        if len(pairs) < _HALF:
            return _added([self._change(*pair) for pair in pairs])
        first = pairs[0][1]
        if first not in self._halves:
            self._halves[first] = _added([self._change(*pair) for pair in pairs])
        return self._halves[first]

    def _change(self, before: int, after: int) -> Changes | None:
        """None where neither frame is corrected."""
        if after not in self._changes:
            if self._frames[before].correction is None and self._frames[after].correction is None:
                self._changes[after] = None
            else:
                first, second = self._look(before), self._look(after)
                self._changes[after] = Changes(_energy(first.seen, second.seen), _energy(first.added, second.added))
                self._pixels.pop(before, None)
        return self._changes[after]

    def _look(self, at: int) -> _Pixels:
        if at not in self._pixels:
            record = self._frames[at]
            if record.picture is None:
                raise ValueError("a frame comes with its picture")
            seen = record.picture.rgb(self._size, self._device)
            correction = moved(record.correction, self._device)
            added = torch.zeros_like(seen) if correction is None else correction.applied(seen).sub_(seen)
            self._pixels[at] = _Pixels(seen, added)
        return self._pixels[at]


def overlay_fallback() -> OomFallback:
    """What becomes of the search for overlays where memory ends."""
    return OomFallback("looking for overlays", ("on the CPU",))


def still_pixels(changes: Changes, silent: Tensor) -> Tensor | None:
    """How far pixels are stiller than their correction, `[1, H, W]` bytes, 0 to 255; None where none is.

    silent: `[H, W]`, true where the correction tells nothing. Fewer changes than `_HALF` say nothing: what moves may
    cancel a gain by chance.
    """
    if changes.count < _HALF:
        return None
    likely = (changes.seen < sum(_STILL) / 2 * changes.done).logical_and_(~silent)
    if _is_surely_none(likely):
        return None
    still = 1 - ramp(changes.seen / changes.done.clamp_min(1e-9), _STILL)
    still *= box_mean(likely.to(still.dtype), 1) >= _NEIGHBOURS - 1e-3
    return (still * ~silent * 255).round_().to(torch.uint8)[None]


def still_kept(kept: Tensor, last: Changes | None, sides: Sequence[_Told]) -> Tensor:
    """What of the kept pixels `[1, H, W]` stays kept: those that did not move and whose correction says nothing new.

    last: the change to this frame. sides: what is told behind it and ahead.
    """
    if last is None:
        return kept
    return kept * reduce(torch.logical_and, [told.silent for told in sides], last.seen <= _UNMOVED**2)


def _energy(first: Tensor, second: Tensor) -> Tensor:
    """Mean over R', G' and B' of the squared change, `[3, H, W]` each → `[H, W]`."""
    total = (second[0] - first[0]).square_()
    for one, other in zip(first[1:], second[1:], strict=True):
        change = other - one
        total.addcmul_(change, change)
    return total.div_(3)


def _added(changes: Sequence[Changes | None]) -> Changes | None:
    told = [each for each in changes if each is not None]
    if len(told) < 2:
        return told[0] if told else None
    seen, done = sum_of([each.seen for each in told]), sum_of([each.done for each in told])
    return Changes(seen, done, sum(each.count for each in told))


def _is_surely_none(found: Tensor) -> bool:
    """Whether nothing was found. On a GPU, a map of nothing costs less than to wait for the word that it is."""
    return found.device.type == "cpu" and not bool(found.any())

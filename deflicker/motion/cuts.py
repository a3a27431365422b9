"""Where one shot ends and the next begins, judged by structure alone.

Light must not enter the test: flicker, fades and the seams between a generator's chunks change tone, a cut changes
what is seen. Two pictures are compared after local contrast normalisation, block by block, each block free to move, at
two scales: restless texture, such as water, may lose all likeness at the fine one and keeps it at the coarse one. A
single odd frame (a flash) is no cut, because the picture before it comes back after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored


@dataclass(frozen=True)
class _Scale:
    """A size at which structure is compared."""

    side_px: int
    """Longer side of the picture."""
    block_px: int
    """Side of a block; odd."""
    reach_px: int
    """How far a block may move between frames: a tenth of the picture, an eighth of the coarse one."""


_FINE, _COARSE = _Scale(64, 17, 6), _Scale(24, 13, 3)
_SAME = 0.45
"""Likeness from which two pictures always show the same thing. Unrelated pictures reach 0.26 to 0.43."""
_USUAL_PART = 0.75
"""Part of its usual likeness a shot of restless texture (water: 0.5) must lose to be cut."""
_USUAL_COARSE_PART = 0.7
"""The same at the coarse scale, where unrelated pictures reach up to 0.5 and water keeps 0.54."""
_BLACK, _WHITE = 0.04, 0.985
"""Luma below or above which all of a picture must lie for it to be empty. A title on black is a picture."""
_NOISE = 0.01
"""Local contrast (standard deviation) that carries no structure."""


Likeness = tuple[float, float]
"""How alike two pictures are at the fine and at the coarse scale, 0 … 1."""


@stored
@dataclass(frozen=True, eq=False)
class StructureMaps:
    """What is compared of `T` pictures."""

    fine: Tensor
    """`[T, 1, h, w]`: see `structure`."""
    coarse: Tensor
    empty: Tensor
    """`[T]`: whether nothing is to be seen, all black or all white."""

    @classmethod
    def of(cls, frames: Tensor) -> StructureMaps:
        """From R'G'B' `[T, 3, H, W]`."""
        luma = frames.mean(1).flatten(1)
        empty = (luma.amax(1) < _BLACK) | (luma.amin(1) > _WHITE)
        return cls(structure(frames), structure(frames, _COARSE), empty)

    def __len__(self) -> int:
        return len(self.fine)

    def __getitem__(self, part: slice) -> StructureMaps:
        return StructureMaps(self.fine[part], self.coarse[part], self.empty[part])

    def after(self, earlier: StructureMaps) -> StructureMaps:
        """The earlier ones and these."""
        pairs = ((earlier.fine, self.fine), (earlier.coarse, self.coarse), (earlier.empty, self.empty))
        return StructureMaps(*(torch.cat(pair) for pair in pairs))

    def likenesses(self, distance: int) -> Tensor:
        """Of each picture to the one so many later, at the fine and at the coarse scale: `[n, 2]`."""
        if len(self) <= distance:
            return self.fine.new_zeros(0, 2)
        fine = likeness(self.fine[:-distance], self.fine[distance:])
        coarse = likeness(self.coarse[:-distance], self.coarse[distance:], _COARSE)
        return torch.stack([fine, coarse], 1)

    def known(self) -> tuple[list[Likeness], list[Likeness], list[bool]]:
        """Likeness to the next picture and to the one after it, and which are empty; one wait for the device."""
        near, around = self.likenesses(1), self.likenesses(2)
        numbers = torch.cat([near, around, self.empty.to(near)[:, None].expand(-1, 2)]).tolist()
        ends = len(near), len(near) + len(around)
        pairs = [(a, b) for a, b in numbers[: ends[1]]]
        return pairs[: ends[0]], pairs[ends[0] :], [number > 0 for number, _ in numbers[ends[1] :]]


def structure(frames: Tensor, scale: _Scale = _FINE) -> Tensor:
    """Local contrast of the luma, free of tone: R'G'B' `[T, 3, H, W]` → `[T, 1, h, w]` with local variance ≤ 1."""
    height, width = frames.shape[-2:]
    shrink = scale.side_px / max(height, width)
    size = (max(4, round(height * shrink)), max(4, round(width * shrink)))
    luma = F.interpolate(frames.mean(1, keepdim=True), size=size, mode="area")
    mean = F.avg_pool2d(luma, 7, 1, 3, count_include_pad=False)
    variance = F.avg_pool2d((luma - mean).square(), 7, 1, 3, count_include_pad=False)
    return (luma - mean) / (variance + (_NOISE * (0.2 + mean)) ** 2).sqrt()


def likeness(first: Tensor, second: Tensor, scale: _Scale = _FINE) -> Tensor:
    """Mean correlation of blocks at their best displacement, `[T, 1, h, w]` twice → `[T]`, 0 … 1.

    Where neither picture has any structure there is nothing to disagree on: such blocks count as alike.
    """
    height, width = first.shape[-2:]
    block, reach, half = scale.block_px, scale.reach_px, scale.block_px // 2

    def blocks(field: Tensor) -> Tensor:
        return F.avg_pool2d(field, block, half, half, count_include_pad=False)

    padded = F.pad(second, (reach,) * 4, mode="replicate")
    energy_first = (blocks(first.square()) + 0.05).sqrt()
    energy_second = (F.avg_pool2d(padded.square(), block, 1, half, count_include_pad=False) + 0.05).sqrt()
    best = torch.zeros_like(energy_first)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            here = (..., slice(dy, dy + height), slice(dx, dx + width))
            match = (blocks(first * padded[here]) + 0.05) / (energy_first * energy_second[here][..., ::half, ::half])
            best = torch.maximum(best, match)
    return best.clamp(max=1).mean((1, 2, 3))


class CutFinder:
    """Decides picture by picture; what it remembers is how alike neighbours usually are in this video.

    A picture is compared with the last one before it that counts. A flash does not count, nor does an empty picture: so
    what was there before them is recognised behind them, and a fade to black is no cut.
    """

    def __init__(self) -> None:
        self._usual: deque[Likeness] = deque([(0.9, 0.9)] * 3, maxlen=24)
        self._started = self._after_odd = False
        self._base: StructureMaps | None = None

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {"usual": list(self._usual), "started": self._started, "after_odd": self._after_odd, "base": self._base}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._usual = deque(state["usual"], maxlen=self._usual.maxlen)
        self._started, self._after_odd, self._base = state["started"], state["after_odd"], state["base"]

    def openings(self, maps: StructureMaps, count: int) -> list[bool]:
        """Which of the next `count` pictures begin a shot; one more look, where there is one, helps to tell."""
        chain = maps if self._base is None else maps.after(self._base)
        near, around, empty = chain.known()
        # A cut among them is too rare to matter to a median.
        self._usual.extend(like for at, like in enumerate(near) if not (empty[at] or empty[at + 1]))

        def like(first: int, second: int) -> Likeness:
            if second - first <= 2:
                return (near if second - first == 1 else around)[first]
            fine, coarse = chain[second : second + 1].after(chain[first : first + 1]).likenesses(1)[0].tolist()
            return fine, coarse

        begin = len(chain) - len(maps)
        base, opens = begin - 1, []
        for at in range(begin, begin + count):
            cut = not self._started
            if base >= 0 and not empty[at]:
                before = like(base, at)
                later = like(base, at + 1) if at + 1 < len(chain) and not empty[at + 1] else None
                cut = self.is_cut(before, later)
                self._after_odd = not self._after_odd and self.is_odd(before, later)
            opens.append(cut)
            self._started = True
            if not (empty[at] or (self._after_odd and base >= 0)):
                base = at
        self._base = chain[base : base + 1] if base >= 0 else None
        return opens

    def is_cut(self, like_before: Likeness, like_around: Likeness | None) -> bool:
        """Whether a frame begins a shot.

        like_before: its likeness to the frame before it. like_around: that of the frame after it to the frame before
        it; None at the end of the video.
        """
        return self._differ(like_before) and (like_around is None or self._differ(like_around))

    def is_odd(self, like_before: Likeness, like_around: Likeness | None) -> bool:
        """Whether a frame is a flash: unlike the frame before it, which the frame after it is like again."""
        return self._differ(like_before) and like_around is not None and not self._differ(like_around)

    def _differ(self, like: Likeness) -> bool:
        """Whether two pictures show different things: at both scales they are less alike than pictures here are."""
        fine, coarse = (median(scale) for scale in zip(*self._usual, strict=True))
        unlike: bool = like[0] < min(_SAME, _USUAL_PART * fine) and like[1] < _USUAL_COARSE_PART * coarse
        return unlike

"""Flashes of light: frames whose tone leaps up and comes back within a few frames.

Lightning, a camera's flash, a strobe, a muzzle: light that is meant. A frame belongs to a flash where its tone stands
out from the low level before it *and* from the low level after it, by much more than the frames around differ among
each other, and where the flash begins with a leap. The low level is a lower quartile, so that the strokes of lightning
and the bursts of a strobe do not raise it. A lamp that is switched on or off, a cut or a fade has the new level on one
side; a swell does not leap; a pump is as large before and after. One that is twice as bright as what is around it, and
seldom, is no flicker; a weaker one may be, and it takes the user's word to leave it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import quantiles
from typing import Generic, TypeVar

import torch

from deflicker.motion.tracking import Given

T = TypeVar("T")

AHEAD = 8
"""Frames after one that are looked at; a flash may last two fewer."""
_BEHIND = 16
"""Frames before one that are looked at for how much tone usually differs, half of them for its level."""
_STRONG = 0.3
"""Least rise of log tone, 35 %: three times what flicker of a tenth has as its standard deviation."""
_UNUSUAL = 5.0
"""Least rise in standard deviations of the tone around."""
_SURE = 0.7
"""Least rise of log tone, a factor of two, of what is a flash without the user's word."""
_SURE_UNUSUAL = 10.0
"""The same in standard deviations. Of 6000 gains of a fifth, drawn anew for every frame, none is so far out."""
_RARE = 1 / 3
"""Part of the frames around that may be as bright for it to be one: a pump of every second frame is none."""
_LEAP = 0.5
"""Part of its rise that a flash must make in its first frame."""
_FEW = 3
"""Frames from which a side has a level."""
_FLOOR = 0.04
"""Added to the tone before its logarithm, so that noise in the dark is no flash."""


@dataclass
class Watching(Generic[T]):
    """How far `find_flashes` has come: all it remembers whenever somebody waits for a frame of it."""

    waiting: deque[Given[T]] = field(default_factory=deque)
    tones: deque[float] = field(default_factory=deque)
    past: deque[float] = field(default_factory=lambda: deque(maxlen=_BEHIND))
    flashing: bool = False

    def take(self, block: Sequence[Given[T]]) -> None:
        """Look at further frames."""
        self.waiting.extend(block)
        means = torch.stack([frame.proxy.mean() for frame in block])
        self.tones.extend((means + _FLOOR).log().tolist())

    def next_one(self, sure: bool) -> Given[T]:
        """Judge the frame that has waited longest."""
        frame, tone = self.waiting.popleft(), self.tones.popleft()
        before, after = tuple(self.past), tuple(islice(self.tones, AHEAD))
        begins = not self.flashing
        self.flashing = stands_out(before, tone, after, flashing=self.flashing)
        if sure and begins:
            self.flashing = self.flashing and is_sure(before, tone, after)
        self.past.append(tone)
        return replace(frame, kept="flash") if self.flashing and frame.kept is None else frame


def find_flashes(
    frames: Iterable[Given[T]], *, sure: bool = False, at: Watching[T] | None = None
) -> Iterator[Given[T]]:
    """Yield every frame once, in order, those of flashes marked to be kept; `AHEAD` to twice as many frames late.

    sure: only flashes that no flicker would be (`is_sure`). at: where an earlier run stopped, to go on there; it is
    kept up to date.
    """
    source, at = iter(frames), at or Watching()
    while True:
        while len(at.waiting) > AHEAD:
            yield at.next_one(sure)
        if not (block := list(islice(source, AHEAD))):
            break
        at.take(block)
    while at.waiting:
        yield at.next_one(sure)


def stands_out(before: Sequence[float], tone: float, after: Sequence[float], *, flashing: bool) -> bool:
    """Whether a frame of this log tone is of a flash, given those around it; `flashing`: the one before it is."""
    if max(len(before), len(after)) < _FEW:
        return False
    level, usual = _around(before, after)
    rise = tone - level
    leaps = flashing or not before or tone - before[-1] >= _LEAP * rise
    return leaps and rise >= max(_STRONG, _UNUSUAL * usual)


def is_sure(before: Sequence[float], tone: float, after: Sequence[float]) -> bool:
    """Whether the first frame of a flash leaps so far, and so seldom, that it is light and no flicker.

    A frame on one side only, at an end of the video, may be anything.
    """
    if min(len(before), len(after)) < _FEW:
        return False
    level, usual = _around(before, after)
    rise, around = tone - level, (*before, *after)
    bright = sum(other - level > rise / 2 for other in around)
    return rise >= max(_SURE, _SURE_UNUSUAL * usual) and bright < _RARE * len(around)


def _around(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The level around a frame, and how much tone differs there without flashes."""
    # The darker frames tell: 1.12 = Φ⁻¹(0.3) − Φ⁻¹(0.05).
    twentieths = quantiles(sorted((*before, *after)), n=20, method="inclusive")
    return max(_low(before[-AHEAD:]), _low(after)), (twentieths[5] - twentieths[0]) / 1.12


def _low(tones: Sequence[float]) -> float:
    """The lower quartile; minus infinity of few, at an end of the video, so that the other side alone counts."""
    if len(tones) < _FEW:
        return -math.inf
    return quantiles(tones, n=4, method="inclusive")[0]

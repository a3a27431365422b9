"""Flashes of light: frames whose tone leaps up and comes back within a few frames.

Lightning, a camera's flash, a strobe, a muzzle: light that is meant. A frame belongs to a flash where its tone stands
out from the low level before it *and* from the low level after it, by much more than the frames around differ among
each other, and where the flash begins with a leap. The low level is a lower quartile, so that the strokes of lightning
and the bursts of a strobe do not raise it. A lamp that is switched on or off, a cut or a fade has the new level on one
side; a swell does not leap; a pump is as large before and after. One that is twice as bright as what is around it, and
seldom, is no flicker; a weaker one may be, and it takes the user's word to leave it. With that, growing light is taken
off first, and the darker half of the picture is asked as well: a flash that is cut off at white raises the mean less.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, pairwise
from statistics import median, quantiles
from typing import Any, Generic

import torch
from torch import Tensor

from deflicker.motion.record import R

AHEAD = 8
"""Frames after one that are looked at; a flash may last two fewer."""
_BEHIND = 16
"""Frames before one that are looked at for how much tone usually differs, half of them for its level."""
_STRONG = 0.28
"""Least rise of log tone, 32 %: three times what flicker of a tenth has as its standard deviation."""
_WEAK = 0.2
"""The same with the user's word, where enough frames are around; near an end it is between the two."""
_UNUSUAL = 5.0
"""Least rise in standard deviations of the tone around."""
_UNUSUAL_OF_SOME = 2.5
"""The same with the user's word: there are flashes, so doubt is for them. A flash that is taken for flicker is wrong by
all of itself, flicker that is taken for a flash stays what it was. Press flashes of 1.45 over 10 % of flicker are 3.7
above."""
_SURE = 0.7
"""Least rise of log tone, a factor of two, of what is a flash without the user's word."""
_SURE_UNUSUAL = 10.0
"""The same in standard deviations. Of 6000 gains of a fifth, drawn anew for every frame, none is so far out."""
_RARE = 1 / 3
"""Part of the frames around that may be as bright for it to be one: a pump of every second frame is none."""
_GOES_ON = 0.6
"""Part of that rise that is asked for of a frame right after one of a flash."""
_LEAP = 0.5
"""Part of its rise that a flash must make in its first frame."""
_LEAP_OF_SOME = 0.3
"""The same with the user's word: the frame before it may be a bright one."""
_FEW = 3
"""Frames from which a side has a level."""
_ENOUGH = 9
"""Steps between neighbours from which they tell how much tone differs: a flash in the fourth frame has as many around
it."""
_FLOOR = 0.04
"""Added to the tone before its logarithm, so that noise in the dark is no flash."""


class FlashStage(Generic[R]):
    """The stage that marks the frames of flashes to be skipped; they come out `AHEAD` to twice as many frames late."""

    def __init__(self, *, sure: bool = False) -> None:
        """sure: only flashes that no flicker would be (`is_sure`)."""
        self._sure = sure
        self._block: list[R] = []
        self._waiting = deque[R]()
        self._tones = deque[tuple[float, ...]]()
        self._past = deque[tuple[float, ...]](maxlen=_BEHIND)
        self._flashing = False

    def push(self, record: R) -> Iterator[R]:
        """Take the next frame; the frames that are judged by now."""
        self._block.append(record)
        if len(self._block) == AHEAD:
            yield from self._judge(AHEAD)

    def finish(self) -> Iterator[R]:
        """The frames that are left."""
        yield from self._judge(0)

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {
            "block": self._block,
            "waiting": list(self._waiting),
            "tones": list(self._tones),
            "past": list(self._past),
            "flashing": self._flashing,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._block, self._waiting, self._tones = state["block"], deque(state["waiting"]), deque(state["tones"])
        self._past, self._flashing = deque(state["past"], maxlen=_BEHIND), state["flashing"]

    def _judge(self, ahead: int) -> Iterator[R]:
        """Look at the block that has come in, and judge all frames but the last ones."""
        self._waiting.extend(self._block)
        if self._block:
            lights = [record.proxy.mean() for record in self._block]
            if not self._sure:
                lights += [_darker_half(record.proxy) for record in self._block]
            tones = (torch.stack(lights) + _FLOOR).log().view(-1, len(self._block))
            self._tones.extend(map(tuple, tones.T.tolist()))
        self._block = []
        while len(self._waiting) > ahead:
            yield self._judged(self._waiting.popleft(), self._tones.popleft())

    def _judged(self, record: R, tones: tuple[float, ...]) -> R:
        before, after = tuple(self._past), tuple(islice(self._tones, AHEAD))
        begins, bounds = not self._flashing, _Bounds(_STRONG, _UNUSUAL, _LEAP)
        # Each measure of tone by itself: of the whole picture, and of its darker half.
        seen = list(zip(_columns(before, tones), tones, _columns(after, tones), strict=True))
        if not self._sure:
            many = min(1.0, max(0, len(before) + len(after) - _ENOUGH - 1) / _FEW)
            bounds = _Bounds(_STRONG - (_STRONG - _WEAK) * many, _UNUSUAL_OF_SOME, _LEAP_OF_SOME)
            seen = [_levelled(*each) for each in seen]
        self._flashing = any(_stands_out(*each, flashing=self._flashing, bounds=bounds) for each in seen)
        if self._sure and begins:
            self._flashing = self._flashing and is_sure(*seen[0])
        self._past.append(tones)
        return replace(record, skip="flash") if self._flashing and record.skip is None else record


def _columns(rows: Sequence[tuple[float, ...]], like: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Each measure's tones, in the frames' order."""
    return [tuple(row[number] for row in rows) for number in range(len(like))]


def _darker_half(frame: Tensor) -> Tensor:
    """Mean of the darker half of the pixels of `[3, H, W]`."""
    levels = frame.mean(0).flatten()
    return levels.topk((len(levels) + 1) // 2, largest=False, sorted=False).values.mean()


@dataclass(frozen=True)
class _Bounds:
    """What is asked of a frame to be of a flash."""

    least: float
    """Rise of log tone."""
    unusual: float
    """The same in standard deviations of the tone around."""
    leap: float
    """Part of it in the first frame."""


def _stands_out(
    before: Sequence[float], tone: float, after: Sequence[float], *, flashing: bool, bounds: _Bounds
) -> bool:
    """Whether a frame of this log tone is of a flash, given those around it.

    flashing: the one before it is.
    """
    if max(len(before), len(after)) < _FEW:
        return False
    level, spread = _around(before, after)
    rise = tone - level
    leaps = flashing or not before or tone - before[-1] >= bounds.leap * rise
    usual = min(spread, _from_steps(before, after))
    return leaps and rise >= max(bounds.least * (_GOES_ON if flashing else 1), bounds.unusual * usual)


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


def _levelled(
    before: Sequence[float], tone: float, after: Sequence[float]
) -> tuple[tuple[float, ...], float, tuple[float, ...]]:
    """The tones around a frame without the growth, or the fall, that both sides show.

    The growth is the median over all pairs of frames of one side (Theil 1950, Sen 1968), those left out that are as
    bright as a flash. A step between the sides is none.
    """
    if min(len(before), len(after)) < _FEW:
        return tuple(before), tone, tuple(after)
    bright = (tone + _around(before, after)[0]) / 2
    sides = [_slopes([each for each in enumerate(side) if each[1] <= bright]) for side in (before[-AHEAD:], after)]
    middles = [median(side or [0.0]) for side in sides]
    slope = median(sides[0] + sides[1]) if middles[0] * middles[1] > 0 else 0.0
    earlier = tuple(each + slope * (len(before) - number) for number, each in enumerate(before))
    return earlier, tone, tuple(each - slope * number for number, each in enumerate(after, 1))


def _slopes(tones: Sequence[tuple[int, float]]) -> list[float]:
    """Change a frame of each pair of numbered tones."""
    return [(there - here) / (late - early) for (early, here), (late, there) in combinations(tones, 2)]


def _around(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The level around a frame, and how much tone differs there without flashes."""
    # The darker frames tell: 1.12 = Φ⁻¹(0.3) − Φ⁻¹(0.05).
    twentieths = quantiles(sorted((*before, *after)), n=20, method="inclusive")
    return max(_low(before[-AHEAD:]), _low(after)), (twentieths[5] - twentieths[0]) / 1.12


def _from_steps(before: Sequence[float], after: Sequence[float]) -> float:
    """How much tone differs without flashes, from the steps between neighbours: light that grows does not raise it."""
    steps = [abs(there - here) for side in (before, after) for here, there in pairwise(side)]
    return median(steps) / 0.954 if len(steps) >= _ENOUGH else math.inf  # 0.954 = √2 Φ⁻¹(0.75)


def _low(tones: Sequence[float]) -> float:
    """The lower quartile; minus infinity of few, at an end of the video, so that the other side alone counts."""
    if len(tones) < _FEW:
        return -math.inf
    return quantiles(tones, n=4, method="inclusive")[0]

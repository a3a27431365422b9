"""Follow the picture through a stream: which frames belong together, and how each moved since the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from deflicker.motion.cuts import CutFinder, Looks
from deflicker.motion.duplicates import ALIKE, Pace, held_of
from deflicker.motion.segment import Kept as Kept
from deflicker.motion.segment import KnownCuts, Part

T = TypeVar("T")

LONGEST_GAP = 8
"""Frames kept as they are across which motion is still followed, a longest lag; behind more of them a shot begins."""


class Flow(Protocol):
    """What estimates motion; see `motion.flow.FlowEstimator`."""

    def features(self, frames: Tensor) -> Sequence[Any]:
        """One value for each frame."""

    def flow(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Motion between frames of such values, there and back."""


@dataclass(frozen=True, eq=False)
class Given(Generic[T]):
    """A frame to be tracked."""

    item: T
    proxy: Tensor
    """`[3, h, w]` R'G'B' in [0, 1]."""
    look: Tensor
    """The proxy in which cuts and motion are looked for: its own, or a guide's of the same size."""
    kept: Kept | None = None


@dataclass(frozen=True, eq=False)
class Tracked(Generic[T]):
    """A frame with its place in the motion."""

    item: T
    """The frame itself, whatever its kind; nobody here looks inside."""
    proxy: Tensor
    """`[3, h, w]` R'G'B' in [0, 1]."""
    opens_shot: bool
    """Nothing before it has to do with it."""
    held: bool
    """It shows the picture of the frame before it once more."""
    forward_px: Tensor | None
    """`[2, h, w]`, flow from the picture before to this one; None where it opens a shot or is held."""
    backward_px: Tensor | None
    """`[2, h, w]`, flow from this picture to the one before."""
    to_key_px: Tensor | None = None
    """`[2, h, w]`, flow from this picture to the key picture, where it was asked for and the picture is the turn."""
    from_key_px: Tensor | None = None
    """`[2, h, w]`, flow back from the key picture."""
    kept: Kept | None = None
    """It stays as it is and has no motion; the flow of the picture after it leads from the picture before it."""
    after_gap: bool = False
    """Kept frames lie between it and the picture before."""


_Motion = tuple[bool, Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Whether a picture opens a shot; flow from and to the picture before it; flow to and from the key."""


@dataclass(frozen=True, eq=False)
class _Picture:
    """What is remembered of the last new picture."""

    proxy: Tensor
    features: Any


@dataclass
class Tracking(Generic[T]):
    """How far `track` has come: all it remembers whenever it asks for the first frame of a batch."""

    previous: _Picture | None = None
    waiting: list[Given[T]] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    gap: int = 0
    cuts: CutFinder | KnownCuts = field(default_factory=CutFinder)
    keys: _Keys | None = None
    part: Part | None = None
    """What is known of the frames, where they are a part of a stream that was tracked before."""
    done: int = 0
    """Frames that have gone out."""

    @classmethod
    def of(cls, part: Part) -> Tracking[T]:
        """For a part, from its first frame on."""
        return cls(gap=part.gap, cuts=KnownCuts(part), part=part)


def track(
    frames: Iterable[tuple[T, Tensor] | Given[T]],
    flow: Flow,
    *,
    batch_frames: int = 8,
    key_every: int = 0,
    key: Tensor | None = None,
    at: Tracking[T] | None = None,
) -> Iterator[Tracked[T]]:
    """Yield every frame once, in order. frames: (frame, its proxy `[3, h, w]`); `batch_frames` go through RAFT at once.

    One frame is held back, because a cut shows only in the frame after it. key_every: every so many pictures of a
    shot, flow to a key picture is given too, which is `key [3, h, w]` or the shot's first; 0 for never. Frames that
    are kept pass by; the one that makes a gap too long to look across opens a shot, as does the picture after it.
    at: where an earlier run stopped, to go on there, or a part of a stream; it is kept up to date.
    """
    source = _seen(frames)
    at = at or Tracking()
    at.keys = at.keys or _Keys(flow, key_every, key)
    # A part's batches are those of the stream.
    room = batch_frames - (at.part.first % batch_frames if at.part else 0)
    while True:
        arrived = list(islice(source, room))
        last, room = len(arrived) < room, batch_frames
        batch = at.waiting + arrived
        if not batch:
            return
        same = _same(batch, at.previous, at.gap)
        held, paces = held_of([None if each.kept else each.proxy for each in batch], same, at.pace)
        if at.part is not None:
            held = list(at.part.held[at.done : at.done + len(batch)])
        decided = len(batch) if last else _decidable(batch, held)
        tracked, at.previous, at.gap = _follow(batch, same, held, decided, at.previous, at.gap, flow, at.cuts, at.keys)
        at.waiting, at.pace, at.done = batch[decided:], paces[decided], at.done + decided
        yield from tracked
        if last:
            return


def _seen(frames: Iterable[tuple[T, Tensor] | Given[T]]) -> Iterator[Given[T]]:
    for each in frames:
        yield each if isinstance(each, Given) else Given(*each, each[1])


class _Keys:
    """Flow to a key picture, now and then."""

    def __init__(self, flow: Flow, every: int, key: Tensor | None) -> None:
        self._flow, self._every = flow, every
        self._given = None if key is None or every == 0 else flow.features(key[None])[0]
        self._key = self._given
        self._pictures = 0

    def match(self, opens_shot: bool, features: Any) -> tuple[Tensor | None, Tensor | None]:
        """(flow to the key, flow back) of a shot's next picture; (None, None) where it is not its turn."""
        if self._every == 0:
            return None, None
        if opens_shot:
            self._pictures = 0
            self._key = features if self._given is None else self._given
        turn = self._pictures % self._every == 0 and self._key is not features
        self._pictures += 1
        if not turn:
            return None, None
        there, back = self._flow.flow([features], [self._key])
        return there[0], back[0]


def _same(batch: Sequence[Given[T]], previous: _Picture | None, gap: int) -> list[bool]:
    """Whether each frame repeats the one before it; `gap` kept frames came right before them."""
    proxies = [each.proxy for each in batch]
    before = [previous.proxy if previous else proxies[0] + 1, *proxies[:-1]]
    difference = torch.stack([(a - b).abs().mean() for a, b in zip(proxies, before, strict=True)])
    kept = [gap > 0, *(each.kept is not None for each in batch)]
    return [
        alike and not (kept[i] or kept[i + 1])  # neither after a kept frame nor one itself
        for i, alike in enumerate((difference < ALIKE).tolist())
    ]


def _decidable(batch: Sequence[Given[T]], held: Sequence[bool]) -> int:
    """How many frames can be tracked before more are known: the last picture waits for the one after it.

    A frame that is repeated needs no look at the one after it, it is no flash; nor does one before a long gap.
    """
    last = max((i for i, each in enumerate(batch) if not held[i] and each.kept is None), default=-1)
    after = len(batch) - 1 - last
    return len(batch) if last < 0 or any(held[last:]) or after > LONGEST_GAP else last


def _follow(
    batch: list[Given[T]],
    same: list[bool],
    held: list[bool],
    decided: int,
    previous: _Picture | None,
    gap: int,
    flow: Flow,
    cuts: CutFinder | KnownCuts,
    keys: _Keys,
) -> tuple[list[Tracked[T]], _Picture | None, int]:
    """The first `decided` frames of a batch, tracked; frames after them only help to tell cuts.

    previous: the picture before them, and `gap` kept frames between; both are given back for the next batch.
    """
    gaps = _gaps(batch[:decided], gap)
    fresh = [i for i in range(decided) if not held[i] and batch[i].kept is None]
    ahead = [i for i in range(decided, len(batch)) if not held[i] and batch[i].kept is None][:1]
    motions: dict[int, _Motion] = {}
    nothing_yet = previous is None
    if fresh:
        looks = Looks.of(torch.stack([batch[i].look for i in fresh + ahead]))
        opens = [cut or gaps[i] > LONGEST_GAP for i, cut in zip(fresh, cuts.openings(looks, len(fresh)), strict=True)]
        # Shot by shot: what the network makes of a picture may hang, by a rounding, on what it sees along with it.
        begins = [0, *(n for n in range(1, len(fresh)) if opens[n])]
        for begin, end in zip(begins, [*begins[1:], len(fresh)], strict=True):
            shot = fresh[begin:end]
            moved, previous = _move(
                [batch[i] for i in shot], [same[i] for i in shot], opens[begin], previous, flow, keys
            )
            motions.update(zip(shot, moved, strict=True))
    tracked = []
    for i, given in enumerate(batch[:decided]):
        kept_opens = given.kept is not None and (gaps[i] == LONGEST_GAP or (nothing_yet and gaps[i] == i == gap == 0))
        opens_shot, there, back, to_key, from_key = motions.get(i, (kept_opens, None, None, None, None))
        marks = given.kept, i in motions and gaps[i] > 0
        tracked.append(Tracked(given.item, given.proxy, opens_shot, held[i], there, back, to_key, from_key, *marks))
    return tracked, previous, gaps[decided]


def _move(
    shot: Sequence[Given[T]], same: Sequence[bool], opens: bool, previous: _Picture | None, flow: Flow, keys: _Keys
) -> tuple[list[_Motion], _Picture]:
    """The motion of pictures of one shot, and the last of them. opens: whether the shot begins with the first."""
    pictures, repeats = _pictures(shot, same, previous, flow)
    before = [previous, *pictures[:-1]]
    pairs = [n for n in range(len(shot)) if not repeats[n] and not (opens and n == 0)]
    if pairs:
        forward, backward = flow.flow(
            [each.features for n in pairs if (each := before[n]) is not None],
            [pictures[n].features for n in pairs],
        )
    motions: list[_Motion] = []
    for n, given in enumerate(shot):
        if opens and n == 0:
            near: tuple[Tensor | None, Tensor | None] = None, None
        elif repeats[n]:
            near = (torch.zeros_like(given.proxy[:2]),) * 2
        else:
            near = forward[pairs.index(n)], backward[pairs.index(n)]
        motions.append((opens and n == 0, *near, *keys.match(opens and n == 0, pictures[n].features)))
    return motions, pictures[-1]


def _pictures(
    fresh: Sequence[Given[T]], same: Sequence[bool], previous: _Picture | None, flow: Flow
) -> tuple[list[_Picture], list[bool]]:
    """What is remembered of each, and which are the picture before them exactly: these need no network.

    same: which look like the frame before them, to spare most the comparison.
    """
    before = [previous.proxy if previous else None, *(each.proxy for each in fresh[:-1])]
    repeats = [
        alike and each.look is each.proxy and other is not None and torch.equal(each.proxy, other)
        for each, alike, other in zip(fresh, same, before, strict=True)
    ]
    new = [each.look for each, repeat in zip(fresh, repeats, strict=True) if not repeat]
    features = iter(flow.features(torch.stack(new)) if new else ())
    pictures: list[_Picture] = []
    for each, repeat in zip(fresh, repeats, strict=True):
        last = pictures[-1] if pictures else previous
        pictures.append(_Picture(each.proxy, last.features if repeat and last else next(features)))
    return pictures, repeats


def _gaps(batch: Sequence[Given[T]], gap: int) -> list[int]:
    """How many kept frames come right before each frame, and before the one after the last."""
    gaps = [gap]
    for each in batch:
        gaps.append(gaps[-1] + 1 if each.kept is not None else 0)
    return gaps

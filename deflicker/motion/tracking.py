"""Follow the picture through a stream: which frames belong together, and how each moved since the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Generic, Protocol

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.motion.cuts import CutFinder, StructureMaps
from deflicker.motion.duplicates import ALIKE, DuplicateRun, mark_duplicates
from deflicker.motion.flow_cuts import FlowCutFinder
from deflicker.motion.record import R
from deflicker.motion.segment import ReplayedCuts, SegmentShots

LONGEST_GAP = 8
"""Skipped frames across which motion is still followed, a longest lag; behind more of them a shot begins."""


class Flow(Protocol):
    """What estimates motion; see `motion.flow.FlowEstimator`."""

    def features(self, frames: Tensor) -> Sequence[Any]:
        """One value for each frame."""

    def flow(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Motion between frames of such values, there and back."""


@stored
@dataclass(frozen=True, eq=False)
class TrackedPicture:
    """What is remembered of a picture."""

    proxy: Tensor
    structure: Tensor
    """`[1, h, w]`: see `cuts.structure`."""
    features: Any
    is_key: bool
    """It is the picture of the shot that others are matched to."""


class ShotTracker(Generic[R]):
    """The stage that finds duplicates and shots, and estimates motion. Frames come out in order, up to a batch later.

    One frame is held back, because a cut shows only in the frame after it. Skipped frames pass by; the one that makes a
    gap too long to look across starts a shot, as does the picture after it.
    """

    def __init__(
        self,
        flow: Flow | None,
        *,
        batch_frames: int = 8,
        key_every: int = 0,
        key: Tensor | None = None,
        segment: SegmentShots | None = None,
    ) -> None:
        """flow: None to find shots alone. batch_frames: how many go through the network at once.

        key_every: every so many pictures of a shot, flow to a key picture is given too, which is `key [3, h, w]` or the
        shot's first; 0 for never. segment: what is known of the frames, where they are a part of a stream.
        """
        self._flow, self._batch_frames, self._key_every, self._segment = flow, batch_frames, key_every, segment
        self._arrived: list[R] = []
        self._waiting: list[R] = []
        # A segment's batches are those of the stream.
        self._room = batch_frames - (segment.first % batch_frames if segment else 0)
        self._gap = segment.gap if segment else 0
        self._cuts = ReplayedCuts(segment) if segment else CutFinder()
        self._flow_cuts = FlowCutFinder()
        self._previous: TrackedPicture | None = None
        self._duplicates, self._done = DuplicateRun(), 0
        self._reference = None if key is None or key_every == 0 or flow is None else flow.features(key[None])[0]
        self._key = self._reference
        self._pictures = 0
        """Pictures of the shot so far."""

    def push(self, record: R) -> Iterator[R]:
        """Take the next frame; the frames that are tracked by now."""
        self._arrived.append(record)
        if len(self._arrived) == self._room:
            yield from self._track(last=False)

    def finish(self) -> Iterator[R]:
        """The frames that are left."""
        yield from self._track(last=True)

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {
            "arrived": self._arrived,
            "waiting": self._waiting,
            "room": self._room,
            "gap": self._gap,
            "cuts": self._cuts.state_dict(),
            "flow_cuts": self._flow_cuts.state_dict(),
            "previous": self._previous,
            "duplicates": self._duplicates,
            "done": self._done,
            "key": None if self._reference is not None else self._key,
            "pictures": self._pictures,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._arrived, self._waiting, self._room = state["arrived"], state["waiting"], state["room"]
        self._gap, self._previous = state["gap"], state["previous"]
        self._duplicates, self._done = state["duplicates"], state["done"]
        self._key = state["key"] if self._reference is None else self._reference
        self._pictures = state["pictures"]
        self._cuts.load_state_dict(state["cuts"])
        self._flow_cuts.load_state_dict(state["flow_cuts"])

    def _track(self, *, last: bool) -> list[R]:
        batch = self._waiting + self._arrived
        self._arrived, self._room = [], self._batch_frames
        if not batch:
            return []
        same = _same(batch, self._previous, self._gap)
        batch, runs = self._mark_duplicates(batch, same)
        decided = len(batch) if last else _decidable(batch)
        tracked, structures = self._find_cuts(batch, decided)
        numbers = [i for i in range(decided) if batch[i].is_picture]
        # Shot by shot: what the network makes of a picture may hang, by a rounding, on what it sees along with it.
        begins = [at for at in range(len(numbers)) if at == 0 or tracked[numbers[at]].starts_shot]
        for begin, end in pairwise([*begins, len(numbers)]):
            shot = numbers[begin:end]
            for i, record in zip(shot, self._estimate_flow(tracked, same, shot, structures), strict=True):
                tracked[i] = record
        self._waiting, self._duplicates, self._done = batch[decided:], runs[decided], self._done + decided
        return tracked

    def _mark_duplicates(self, batch: Sequence[R], same: Sequence[bool]) -> tuple[list[R], list[DuplicateRun]]:
        """The batch, and the run of duplicates before each frame of it and after the last."""
        held, runs = mark_duplicates([None if each.skip else each.proxy for each in batch], same, self._duplicates)
        if self._segment is not None:
            held = list(self._segment.is_duplicate[self._done : self._done + len(batch)])
        return [replace(each, is_duplicate=is_held) for each, is_held in zip(batch, held, strict=True)], runs

    def _find_cuts(self, batch: Sequence[R], decided: int) -> tuple[list[R], dict[int, Tensor]]:
        """The first frames of the batch, those marked that start a shot; frames after them only help to tell cuts.

        Also the structure of each picture by its place, and of the first one after them.
        """
        gaps, tracked = _gaps(batch[:decided], self._gap), list(batch[:decided])
        for i, record in enumerate(tracked):
            first_of_all = self._previous is None and i == self._gap == 0
            if record.skip is not None:
                tracked[i] = replace(record, starts_shot=gaps[i] == LONGEST_GAP or first_of_all)
        numbers = [i for i in range(decided) if batch[i].is_picture]
        ahead = [i for i in range(decided, len(batch)) if batch[i].is_picture][:1]
        structures: dict[int, Tensor] = {}
        if numbers:
            maps = StructureMaps.of(torch.stack([_motion_proxy(batch[i]) for i in numbers + ahead]))
            structures = dict(zip(numbers + ahead, maps.fine, strict=True))
            for i, cut in zip(numbers, self._cuts.openings(maps, len(numbers)), strict=True):
                tracked[i] = replace(tracked[i], starts_shot=cut or gaps[i] > LONGEST_GAP, after_gap=gaps[i] > 0)
        self._gap = gaps[decided]
        return tracked, structures

    def _estimate_flow(
        self, tracked: Sequence[R], same: Sequence[bool], shot: Sequence[int], structures: Mapping[int, Tensor]
    ) -> list[R]:
        """Pictures of one shot, with their motion; where flow is lost, another shot starts.

        shot: their places among the tracked. structures: of pictures by their places.
        """
        last = self._previous
        if self._flow is None:
            self._previous = TrackedPicture(tracked[shot[-1]].proxy, structures[shot[-1]], None, False)
            return [tracked[i] for i in shot]
        records = [tracked[i] for i in shot]
        pictures, repeats = self._see(records, [same[i] for i in shot], [structures[i] for i in shot], self._flow)
        before = [last, *pictures[:-1]]
        pairs = [n for n, record in enumerate(records) if not repeats[n] and not record.starts_shot]
        if records[0].starts_shot:
            self._flow_cuts.start_shot()
        if pairs:
            sources = [each for n in pairs if (each := before[n]) is not None]
            forward, backward = self._flow.flow(
                [each.features for each in sources], [pictures[n].features for n in pairs]
            )
            later = [*(each.structure for each in pictures[1:]), _structure_after(tracked, shot[-1], structures)]
            triples = [
                (source.structure, pictures[n].structure, later[n]) for n, source in zip(pairs, sources, strict=True)
            ]
            for n, opens in zip(pairs, self._flow_cuts.openings(triples, forward, backward), strict=True):
                records[n] = replace(records[n], starts_shot=opens)
        found, is_key = [], last is not None and last.is_key
        for n, record in enumerate(records):
            if repeats[n] and not record.starts_shot:
                still = torch.zeros_like(record.proxy[:2])
                record = replace(record, forward_px=still, backward_px=still)
            elif not record.starts_shot:
                at = pairs.index(n)
                record = replace(record, forward_px=forward[at], backward_px=backward[at])
            is_key = self._reference is None and (record.starts_shot or (repeats[n] and is_key))
            self._previous = replace(pictures[n], is_key=is_key)
            found.append(self._match_key(record, self._previous, self._flow))
        return found

    def _see(
        self, shot: Sequence[R], same: Sequence[bool], structures: Sequence[Tensor], flow: Flow
    ) -> tuple[list[TrackedPicture], list[bool]]:
        """What is remembered of each, and which are the picture before them exactly: these need no network.

        same: which look like the frame before them, to spare most the comparison.
        """
        last = self._previous
        before = [last.proxy if last else None, *(each.proxy for each in shot[:-1])]
        repeats = [
            alike and each.motion_proxy is None and other is not None and torch.equal(each.proxy, other)
            for each, alike, other in zip(shot, same, before, strict=True)
        ]
        new = [_motion_proxy(each) for each, repeat in zip(shot, repeats, strict=True) if not repeat]
        features = iter(flow.features(torch.stack(new)) if new else ())
        pictures: list[TrackedPicture] = []
        for each, structure, repeat in zip(shot, structures, repeats, strict=True):
            last = TrackedPicture(each.proxy, structure, last.features if repeat and last else next(features), False)
            pictures.append(last)
        return pictures, repeats

    def _match_key(self, record: R, picture: TrackedPicture, flow: Flow) -> R:
        """A shot's next picture with flow to the key and back, where it is its turn."""
        if self._key_every == 0:
            return record
        if record.starts_shot:
            self._pictures = 0
            self._key = picture.features if self._reference is None else self._reference
        turn = self._pictures % self._key_every == 0 and not picture.is_key
        self._pictures += 1
        if not turn:
            return record
        there, back = flow.flow([picture.features], [self._key])
        return replace(record, to_key_px=there[0], from_key_px=back[0])


def _structure_after(tracked: Sequence[R], place: int, structures: Mapping[int, Tensor]) -> Tensor | None:
    """Of the first picture after a place, unless it is known to start a shot."""
    after = min((i for i in structures if i > place), default=None)
    return None if after is None or (after < len(tracked) and tracked[after].starts_shot) else structures[after]


def _motion_proxy(record: R) -> Tensor:
    return record.proxy if record.motion_proxy is None else record.motion_proxy


def _same(batch: Sequence[R], previous: TrackedPicture | None, gap: int) -> list[bool]:
    """Whether each frame repeats the one before it; `gap` skipped frames came right before them."""
    proxies = [each.proxy for each in batch]
    before = [previous.proxy if previous else proxies[0] + 1, *proxies[:-1]]
    difference = torch.stack([(a - b).abs().mean() for a, b in zip(proxies, before, strict=True)])
    skipped = [gap > 0, *(each.skip is not None for each in batch)]
    return [
        alike and not (skipped[i] or skipped[i + 1])  # neither after a skipped frame nor one itself
        for i, alike in enumerate((difference < ALIKE).tolist())
    ]


def _decidable(batch: Sequence[R]) -> int:
    """How many frames can be tracked before more are known: the last picture waits for the one after it.

    A frame that is repeated needs no look at the one after it, it is no flash; nor does one before a long gap.
    """
    last = max((i for i, each in enumerate(batch) if each.is_picture), default=-1)
    after = len(batch) - 1 - last
    repeated = any(each.is_duplicate for each in batch[max(last, 0) :])
    return len(batch) if last < 0 or repeated or after > LONGEST_GAP else last


def _gaps(batch: Sequence[R], gap: int) -> list[int]:
    """How many skipped frames come right before each frame, and before the one after the last."""
    gaps = [gap]
    for each in batch:
        gaps.append(gaps[-1] + 1 if each.skip is not None else 0)
    return gaps

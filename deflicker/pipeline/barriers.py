"""Marks that travel with the frames through stages that run side by side.

A stage asks for its next frame only once it has handed out all that the frames before led to. So whenever it asks, what
it knows is what lies in its memory. A mark shows every stage in that moment, each between the same two frames, although
at different times; the stages themselves never see it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Protocol


class Mark:
    """Lies between two frames."""


class Marker(Protocol):
    """Who wants to see the stages at rest. The methods are called on the stages' threads."""

    def mark(self) -> Mark | None:
        """A mark to send before the next batch of frames, or None."""

    def seen(self, mark: Mark, stage: str, memory: object) -> None:
        """A stage is at rest: it has taken in every frame before the mark and none after it."""


def marked(frames: Iterable[Any], marker: Marker | None, every: int) -> Iterator[Any]:
    """The frames, with the marker's marks between batches of so many: each before the next frame is asked for."""
    source = iter(frames)
    for number in count():
        if marker is not None and number % every == 0 and (mark := marker.mark()):
            yield mark
        if (frame := next(source, None)) is None:
            return
        yield frame


class Passage:
    """Leads marks past one stage."""

    def __init__(self, marker: Marker | None, stage: str, memory: object) -> None:
        self._marker, self._stage, self._memory = marker, stage, memory
        self._passing = deque[Mark]()

    def into(self, items: Iterable[Any]) -> Iterator[Any]:
        """What the stage is to take in."""
        for item in items:
            if not isinstance(item, Mark):
                yield item
            elif self._marker is not None:
                self._marker.seen(item, self._stage, self._memory)
                self._passing.append(item)

    def out_of(self, items: Iterable[Any]) -> Iterator[Any]:
        """What came out of it, a mark before the first item that frames after it led to."""
        for item in items:
            while self._passing:
                yield self._passing.popleft()
            yield item

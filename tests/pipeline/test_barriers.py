"""Marks pass stages that do not know of them, and show each at rest between the same two frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest

from deflicker.core.threads import prefetch
from deflicker.pipeline.barriers import Mark, Passage, marked


class Late:
    """A stage that hands each number out when two more have come in, in pieces."""

    def __init__(self) -> None:
        self.memory: list[int] = []

    def run(self, items: Iterable[int]) -> Iterator[int]:
        for item in items:
            self.memory.append(item)
            while len(self.memory) > 2:
                yield self.memory.pop(0)
        while self.memory:
            yield self.memory.pop(0)


class Every:
    """Sends a mark before every batch, and notes what the stages remember there."""

    def __init__(self) -> None:
        self.seen_at: dict[Mark, dict[str, list[int]]] = {}

    def mark(self) -> Mark:
        return Mark()

    def seen(self, mark: Mark, stage: str, memory: Any) -> None:
        self.seen_at.setdefault(mark, {})[stage] = list(memory)


@pytest.mark.parametrize("threads", [False, True])
def test_a_mark_lies_between_the_same_frames_everywhere(threads: bool) -> None:
    marker, first, second = Every(), Late(), Late()
    one, two = Passage(marker, "one", first.memory), Passage(marker, "two", second.memory)
    items: Any = one.out_of(first.run(one.into(marked(range(10), marker, 3))))
    with closing(prefetch(items, 2)) as ahead:
        out = list(two.out_of(second.run(two.into(ahead if threads else items))))
    assert [item for item in out if not isinstance(item, Mark)] == list(range(10))
    marks = [item for item in out if isinstance(item, Mark)]
    assert len(marks) == 4
    for before, mark in zip((0, 3, 6, 9), marks, strict=True):
        done = [item for item in out[: out.index(mark)] if not isinstance(item, Mark)]
        held = marker.seen_at[mark]
        assert [*done, *held["two"], *held["one"]] == list(range(before))


def test_a_mark_comes_before_the_next_frame_is_asked_for() -> None:
    asked = []

    def source() -> Iterator[int]:
        for item in range(4):
            asked.append(item)
            yield item

    for item in marked(source(), Every(), 2):
        assert not isinstance(item, Mark) or len(asked) % 2 == 0


def test_without_a_marker_nothing_happens() -> None:
    passage = Passage(None, "stage", None)
    assert list(passage.out_of(passage.into(marked("abc", None, 1)))) == ["a", "b", "c"]

"""A part that is tracked by itself is what it is in the whole: frame by frame, batch by batch, to the last bit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.correction.types import FrameRecord
from deflicker.motion.segment import SegmentShots
from deflicker.motion.tracking import LONGEST_GAP
from tests.driving import record, track
from tests.motion.test_tracking import HEIGHT, LOOKS, MARK, WIDTH


class Rounding:
    """A network whose every answer hangs on what it is asked along with it, as rounding may."""

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return [frame.mean() + 1000 * len(frames) for frame in frames]

    def flow(self, first: list[torch.Tensor], second: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        steps = [
            torch.full((2, HEIGHT, WIDTH), float(b - 2 * a + len(first))) for a, b in zip(first, second, strict=True)
        ]
        return torch.stack(steps), -torch.stack(steps)


Frames = list[tuple[int, int, bool]]


def given_frames(pictures: Frames) -> list[FrameRecord]:
    """From (look, mark, whether it is kept)."""
    proxies = [LOOKS[which] + MARK * mark for which, mark, _ in pictures]
    return [
        record(number, proxy, proxy, "excluded" if kept else None)
        for number, (proxy, (_, _, kept)) in enumerate(zip(proxies, pictures, strict=True))
    ]


def parts_of(found: list[FrameRecord]) -> list[SegmentShots]:
    """One for each shot that begins with a picture; the first begins with the first frame."""
    begins = [0, *(frame.picture for frame in found if frame.picture and frame.starts_shot and frame.skip is None)]
    parts = []
    for begin, end in pairwise([*begins, len(found)]):
        frames = found[begin:end]
        gap = 0
        while gap < begin and found[begin - gap - 1].skip:
            gap += 1
        flags = [(frame.starts_shot, frame.is_duplicate, frame.skip) for frame in frames]
        parts.append(SegmentShots(begin, *zip(*flags, strict=True), gap))
    return parts


def told(frame: FrameRecord) -> list[Any]:
    motion = (frame.forward_px, frame.backward_px, frame.to_key_px, frame.from_key_px)
    values = [None if each is None else each.flatten()[0].item() for each in motion]
    return [frame.picture, frame.starts_shot, frame.is_duplicate, frame.skip, frame.after_gap, *values]


def check(pictures: Frames, batch_frames: int) -> list[SegmentShots]:
    frames = given_frames(pictures)
    options: dict[str, Any] = {"batch_frames": batch_frames, "key_every": 3}
    whole = list(track(iter(frames), Rounding(), **options))
    parts = parts_of(list(track(iter(frames), None, batch_frames=batch_frames)))
    assert sum(map(len, parts)) == len(frames)
    for part in parts:
        ours = frames[part.first : part.first + len(part)]
        alone = list(track(iter(ours), Rounding(), segment=part, **options))
        expected = [told(frame) for frame in whole[part.first : part.first + len(part)]]
        found = [told(frame) for frame in alone]
        expected[0][4] = found[0][4]  # where a shot begins, nobody asks what lies before it
        assert found == expected
    return parts


@pytest.mark.parametrize("cut", [7, 8, 9, 15, 16, 17])
def test_at_every_place_in_a_batch(cut: int) -> None:
    parts = check([(0, n % 3, False) for n in range(cut)] + [(1, n % 3, False) for n in range(20)], 8)
    assert [part.first for part in parts] == [0, cut]


def test_repeats_and_kept_frames() -> None:
    shot = [(n % 2, n // 2 % 5, False) for n in (0, 0, 2, 4, 4, 4, 4, 6, 8)]
    kept = [(0, 3, True)] * (LONGEST_GAP + 2)
    parts = check([*shot, *kept, *shot, *[(1, n, False) for n in range(4)], (2, 0, True), *shot], 4)
    assert [part.gap for part in parts] == [0, LONGEST_GAP + 2, 0, 1]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.booleans(), st.integers(1, 12)), min_size=1, max_size=6
    ),
    st.integers(1, 9),
)
def test_any_stream(runs: list[tuple[int, int, bool, int]], batch_frames: int) -> None:
    check([(look, mark + n // 2, kept) for look, mark, kept, count in runs for n in range(count)], batch_frames)

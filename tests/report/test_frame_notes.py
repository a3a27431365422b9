"""Skipped frames: merged into ranges, one line for each reason."""

from __future__ import annotations

from deflicker.report.frame_notes import SkippedFrames, SkippedRange, skipped_lines


def ranges(*why: str | None) -> tuple[SkippedRange, ...]:
    skipped = SkippedFrames()
    for frame, each in enumerate(why):
        skipped.add(frame, each)
    return skipped.ranges


def test_frames_in_a_row_are_one_range() -> None:
    found = ranges("flash", None, "excluded", "excluded", "flash", None, "flash", "flash")
    assert found == (
        SkippedRange(0, 0, "flash"),
        SkippedRange(2, 3, "excluded"),
        SkippedRange(4, 4, "flash"),
        SkippedRange(6, 7, "flash"),
    )
    assert skipped_lines(found) == ["excluded: frames 2-3", "flashes: frames 0, 4, 6-7"]


def test_nothing_skipped_says_nothing() -> None:
    assert skipped_lines(ranges(None, None)) == []


def test_many_ranges_are_counted() -> None:
    (line,) = skipped_lines(ranges(*(["flash", None] * 30)))
    assert line == "flashes: frames 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 18 more ranges"

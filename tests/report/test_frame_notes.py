"""Frames kept: added up to parts, and said in few words."""

from __future__ import annotations

from deflicker.report.frame_notes import KeptFrames, KeptPart, skipped_lines


def parts(*why: str | None) -> tuple[KeptPart, ...]:
    kept = KeptFrames()
    for frame, each in enumerate(why):
        kept.add(frame, each)
    return kept.parts


def test_frames_in_a_row_are_one_part() -> None:
    found = parts("flash", None, "excluded", "excluded", "flash", None, "flash", "flash")
    assert found == (
        KeptPart(0, 0, "flash"),
        KeptPart(2, 3, "excluded"),
        KeptPart(4, 4, "flash"),
        KeptPart(6, 7, "flash"),
    )
    assert skipped_lines(found) == ["excluded: frames 2-3", "flashes: frames 0, 4, 6-7"]


def test_nothing_kept_says_nothing() -> None:
    assert skipped_lines(parts(None, None)) == []


def test_many_parts_are_counted() -> None:
    (line,) = skipped_lines(parts(*(["flash", None] * 30)))
    assert line == "flashes: frames 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 18 parts more"

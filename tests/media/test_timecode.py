"""Time codes, with and without dropped numbers, and where a part of a video begins."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.media.timecode import advance
from deflicker.pipeline.video import deflicker
from tests.media.edits import timecode_of
from tests.media.making import make

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("code", "frames", "rate", "later"),
    [
        ("10:00:00:00", 0, Fraction(25), "10:00:00:00"),
        ("10:00:00:24", 1, Fraction(25), "10:00:01:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),  # SMPTE ST 12-1: 00 and 01 do not exist
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),  # but they do in every tenth minute
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("whenever", 1, NTSC, None),
    ],
)
def test_advance(code: str, frames: int, rate: Fraction, later: str | None) -> None:
    assert advance(code, frames, rate) == later


def test_one_by_one_is_the_same_as_at_once() -> None:
    code: str | None = "00:58:30;10"
    for count in range(1, 4000):
        assert code
        code = advance(code, 1, NTSC)
        assert code == advance("00:58:30;10", count, NTSC)


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_a_part_begins_with_its_own_timecode(suffix: str, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mov", pts=range(20, 40), timecode="10:00:00:20")
    report = deflicker(source, tmp_path / f"out{suffix}", Settings(strength=0, start=TimePoint(frame=8)))
    assert timecode_of(tmp_path / f"out{suffix}") == "10:00:01:03"
    assert any("timecode 10:00:01:03" in each for each in report.copied)

"""Transport streams joined with `cat`: the parts follow each other, with as many pictures as both have."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.media.discontinuity import JOINED
from deflicker.media.reader import Reader
from deflicker.pipeline.video import deflicker
from tests.media.edits import shown
from tests.media.making import make, payloads

BFRAMES = {"preset": "ultrafast", "bf": "2", "g": "6"}


def joined(folder: Path, starts: Sequence[int], *, audio: Sequence[str] = ()) -> Path:
    """Parts of 12 pictures, 25 a second, that begin at these pictures' times; all in one file."""
    path = folder / "joined.ts"
    with path.open("wb") as file:
        for number, start in enumerate(starts):
            part = folder / f"{number}.ts"
            pts = range(start, start + 12)
            make(part, pts=pts, options=BFRAMES, audio=audio, audio_start=Fraction(start, 25))
            file.write(part.read_bytes())
    return path


@pytest.mark.parametrize(("starts", "audio"), [((500, 0), ()), ((0, 1000), ()), ((0, 0, 0), ("aac",))], ids=str)
def test_parts_follow_each_other(starts: Sequence[int], audio: Sequence[str], tmp_path: Path) -> None:
    with Reader(joined(tmp_path, starts, audio=audio)) as reader:
        times = [frame.pts * frame.time_base for frame in reader.frames()]
        notes = " ".join(reader.notes)
    assert len(times) == 12 * len(starts)
    steps = [b - a for a, b in pairwise(times)]
    # A part begins where the longest stream of the part before ends.
    assert all(Fraction(39, 1000) < step < Fraction(41, 1000) for step in steps if step not in steps[11::12])
    assert all(Fraction(39, 1000) < step < Fraction(150, 1000) for step in steps[11::12])
    assert "joined" in notes


def test_a_pause_is_none(tmp_path: Path) -> None:
    """Less than ten seconds ahead is a pause, and stays one."""
    with Reader(joined(tmp_path, (0, 60))) as reader:
        times = [frame.pts * frame.time_base for frame in reader.frames()]
        assert "joined" not in " ".join(reader.notes)
    assert times[12] - times[11] > 1


def test_uneven_times_are_no_jumps(tmp_path: Path) -> None:
    """A short picture after a long one comes earlier than the long one lets expect."""
    pts = [0, 60, 1060, 1085, 2085, 2110, 2135, 2160]
    with Reader(
        make(tmp_path / "in.ts", pts=pts, time_base=Fraction(1, 1000), options=BFRAMES | {"bf": "0"})
    ) as reader:
        times = [frame.pts * frame.time_base for frame in reader.frames()]
        assert "joined" not in " ".join(reader.notes)
    assert [round(1000 * (when - times[0])) for when in times] == pts


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv"])
def test_outputs(suffix: str, tmp_path: Path) -> None:
    """Copied or encoded: all pictures, at rising times, and the sound beside them."""
    source, target = joined(tmp_path, (0, 0), audio=("aac",)), tmp_path / f"out{suffix}"
    for settings in (Settings(strength=0, overwrite=True), Settings(strength=0, overwrite=True, crf=30)):
        report = deflicker(source, target, settings)
        times = [when for when, _ in shown(target)]
        assert report.frames == len(times) == 24
        assert report.notes.count(JOINED) == 1
        assert all(Fraction(38, 1000) < b - a < Fraction(150, 1000) for a, b in pairwise(times))
        (before,), (after,) = payloads(source, "audio").values(), payloads(target, "audio").values()
        assert len(before) == len(after)
        ends = [when for when, _ in after if when is not None]
        assert ends == sorted(ends)
        assert abs(ends[-1] - times[-1]) < Fraction(1, 5)


def test_start_counts_through_the_parts(tmp_path: Path) -> None:
    source = joined(tmp_path, (0, 0, 0, 0, 0, 0, 0))
    how = Settings(strength=0, codec="ffv1", start=TimePoint(seconds=Fraction(21, 10)))
    deflicker(source, tmp_path / "out.mkv", how)
    kept = [digest for _, digest in shown(tmp_path / "out.mkv")]
    assert kept == [digest for _, digest in shown(source)][-len(kept) :]
    assert 20 < len(kept) < 40

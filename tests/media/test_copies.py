"""N pictures in, the same N pictures out, at the same times: whatever an edit list, a cut or a muxer did to the file.

What is shown is judged by PyAV without the product, and by FFmpeg's own programs where they are installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deflicker.core.errors import InputError
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.media.edit_list import read_edits
from deflicker.pipeline.video import deflicker
from tests.media.edits import OPEN, PLAIN, PYRAMID, TICKS, Edit, Shown, shown, shown_by_ffmpeg, stream, with_edits

EVEN = [TICKS * n for n in range(24)]
UNEVEN = [sum((300, 700, 512, 90, 1800)[k % 5] for k in range(n)) for n in range(24)]
GAP = [TICKS * n + (38400 if n > 10 else 0) for n in range(24)]
STREAMS = {"plain": PLAIN, "pyramid": PYRAMID, "open GOPs": OPEN}
EDITS: dict[str, Sequence[Edit]] = {
    "usual": [(960, 1024, 1)],
    "from the middle of a GOP": [(500, 5 * TICKS, 1)],
    "from a key frame": [(400, 8 * TICKS, 1)],
    "from inside a picture": [(500, 5 * TICKS + 100, 1)],
    "late": [(480, -1, 1), (960, 1024, 1)],
    "two parts": [(200, 1024, 1), (240, 12 * TICKS, 1)],
    "backwards": [(240, 12 * TICKS, 1), (200, 1024, 1)],
    "twice the same": [(200, 1024, 1), (200, 1024, 1)],
    "a pause between": [(200, 1024, 1), (400, -1, 1), (200, 4096, 1)],
    "twice as fast": [(480, 1024, 2)],
    "standing still": [(400, 2048, 0)],
    "longer than the media": [(9000, 1024, 1)],
    "none": [],
}
SLOW = pytest.mark.slow
OTHER_READER = ("from the middle of a GOP", "two parts")
"""Kinds of edit lists that the default tests also give to FFmpeg's own programs."""
COPY = Settings(strength=0, overwrite=True)
LOSSLESS = Settings(strength=0, overwrite=True, codec="ffv1")


def equal(
    before: Shown | None, after: Shown | None, *, hashes: bool = True, tick: Fraction = Fraction(1, 1000)
) -> bool:
    """The same pictures at the same times."""
    if before is None or after is None or len(before) != len(after):
        return before is after
    return all(
        abs(a[0] - b[0]) <= Fraction(1, 1000) and (a[1] == b[1] or not hashes)
        for a, b in zip(before, after, strict=True)
    )


def check(source: Path, target: Path, how: Settings, *, hashes: bool = True, other_reader: bool = True) -> Any:
    """Run, and compare by both readers."""
    report = deflicker(source, target, how)
    before = shown(source)
    assert report.frames == len(before)
    assert equal(before, shown(target), hashes=hashes)
    rising = all(a[0] < b[0] for a, b in pairwise(before))  # else the other reader leaves some out
    if other_reader and rising and (theirs := shown_by_ffmpeg(source)) is not None:
        assert equal(theirs, shown_by_ffmpeg(target), hashes=hashes)
    return report


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("structure", ["pyramid", *(pytest.param(each, marks=SLOW) for each in ("plain", "open GOPs"))])
def test_edit_lists_are_carried_over(structure: str, kind: str, tmp_path: Path) -> None:
    source = with_edits(stream(tmp_path / "in.mp4", EVEN, STREAMS[structure]), EDITS[kind])
    report = check(source, tmp_path / "out.mp4", COPY, other_reader=kind in OTHER_READER or structure != "pyramid")
    assert report.codec == "copy"


@pytest.mark.slow
@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("structure", STREAMS)
@pytest.mark.parametrize("times", [EVEN, UNEVEN, GAP], ids=["even", "uneven", "gap"])
def test_edit_lists(times: list[int], structure: str, kind: str, tmp_path: Path) -> None:
    """QuickTime by packets; Matroska, which has no edit lists, by packets or without loss."""
    source = with_edits(stream(tmp_path / "in.mp4", times, STREAMS[structure]), EDITS[kind])
    check(source, tmp_path / "out.mov", COPY)
    check(source, tmp_path / "copy.mkv", COPY, hashes=False)
    check(source, tmp_path / "out.mkv", LOSSLESS)


@pytest.mark.parametrize(
    ("suffix", "skip", "shift", "structure"),
    [
        (".mkv", 2, 0, "pyramid"),
        (".mkv", 3, 25600, "open GOPs"),
        (".mp4", 0, -2048, "pyramid"),
        (".ts", 9, 0, "plain"),
        (".ts", 0, 25600, "open GOPs"),
        *(
            pytest.param(suffix, skip, shift, structure, marks=SLOW)
            for suffix in (".mkv", ".mp4", ".ts")
            for skip, shift in ((2, 0), (9, 0), (0, 25600), (0, -2048), (3, 25600))
            for structure in STREAMS
        ),
    ],
)
def test_odd_beginnings(suffix: str, skip: int, shift: int, structure: str, tmp_path: Path) -> None:
    """Without the first key frame, late, and with negative times."""
    source = stream(tmp_path / f"in{suffix}", EVEN, STREAMS[structure], skip=skip, shift=shift)
    report = check(source, tmp_path / "out.mp4", COPY, hashes=False, other_reader=False)
    if report.codec == "copy":
        assert equal(shown(source), shown(tmp_path / "out.mp4"))


@pytest.mark.parametrize("kind", ["from the middle of a GOP", "late", "two parts"])
def test_cuts(kind: str, tmp_path: Path) -> None:
    """`--start` and `--end` count what is shown."""
    source = with_edits(stream(tmp_path / "in.mp4", EVEN, PYRAMID), EDITS[kind])
    before = shown(source)
    how = Settings(
        strength=0, overwrite=True, codec="ffv1", start=TimePoint(frame=2), end=TimePoint(frame=len(before) - 3)
    )
    deflicker(source, tmp_path / "out.mkv", how)
    kept = before[2:-3]
    assert equal([(when - kept[0][0], digest) for when, digest in kept], shown(tmp_path / "out.mkv"))


@pytest.mark.parametrize(
    ("suffix", "skip", "shift", "structure"),
    [(".mkv", 3, 25600, "open GOPs"), (".mp4", 0, -2048, "pyramid"), (".ts", 2, 25600, "plain")],
)
def test_cuts_of_odd_beginnings(suffix: str, skip: int, shift: int, structure: str, tmp_path: Path) -> None:
    """`--start` and `--end` count from the first picture shown, whatever its time is."""
    source = stream(tmp_path / f"in{suffix}", EVEN, STREAMS[structure], skip=skip, shift=shift)
    before = shown(source)
    for start, first in ((TimePoint(frame=4), 4), (TimePoint(seconds=Fraction(11, 50)), 6)):
        how = Settings(strength=0, overwrite=True, codec="ffv1", start=start, end=TimePoint(frame=len(before) - 2))
        deflicker(source, tmp_path / "out.mkv", how)
        kept = before[first:-2]
        assert equal([(when - kept[0][0], digest) for when, digest in kept], shown(tmp_path / "out.mkv"))


def test_nothing_shown(tmp_path: Path) -> None:
    source = with_edits(stream(tmp_path / "in.mp4", EVEN, PLAIN), [(400, -1, 1)])
    with pytest.raises(InputError, match="edit list"):
        deflicker(source, tmp_path / "out.mp4", COPY)


def test_sound_stays_where_it_was(tmp_path: Path) -> None:
    """The edit list of the pictures is carried over, that of the sound is its own."""
    from tests.media.making import make, payloads

    source = with_edits(make(tmp_path / "in.mp4", pts=range(24), audio=["aac"], options=PYRAMID), [(500, 2560, 1)])
    report = check(source, tmp_path / "out.mp4", COPY, other_reader=False)
    assert report.codec == "copy"
    before, after = (payloads(path, "audio") for path in (source, tmp_path / "out.mp4"))
    assert [packet for packets in before.values() for packet in packets] == [p for ps in after.values() for p in ps]


def test_the_carried_list_is_the_sources(tmp_path: Path) -> None:
    source = with_edits(stream(tmp_path / "in.mp4", EVEN, PYRAMID), EDITS["two parts"], version=1)
    deflicker(source, tmp_path / "out.mp4", COPY)
    before, after = read_edits(source, 1), read_edits(tmp_path / "out.mp4", 1)
    assert before
    assert after
    for old, new in zip(before.entries, after.entries, strict=True):
        assert Fraction(old[0], before.movie_scale) == Fraction(new[0], after.movie_scale)
        assert Fraction(old[1], before.media_scale) == Fraction(new[1], after.media_scale)


edit = st.tuples(
    st.integers(1, 1200), st.one_of(st.just(-1), st.integers(0, 13000)), st.sampled_from([1, 1, 1, 0, 0.5, 2])
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    edits=st.lists(edit, min_size=1, max_size=4),
    structure=st.sampled_from(sorted(STREAMS)),
    times=st.sampled_from([EVEN, UNEVEN, GAP]),
    version=st.integers(0, 1),
    suffix=st.sampled_from([".mp4", ".mov", ".mkv"]),
)
def test_any_edit_list(
    edits: list[Edit], structure: str, times: list[int], version: int, suffix: str, tmp_path: Path
) -> None:
    source = with_edits(stream(tmp_path / "in.mp4", times, STREAMS[structure]), edits, version=version)
    before = shown(source)
    if not before:
        return
    target = tmp_path / f"out{suffix}"
    report = deflicker(source, target, COPY)
    after = shown(target)
    assert report.frames == len(before) == len(after)
    rising = all(a[0] < b[0] for a, b in pairwise(before))
    if rising:  # else there is no right time for all of them
        assert equal(before, after, hashes=report.codec == "copy")


def test_an_edit_list_that_matroska_cannot_store_is_named(tmp_path: Path) -> None:
    """The pictures are encoded, since a copy would show the hidden ones too; a usual list is no reason to."""
    for kind, copied in (("from the middle of a GOP", False), ("usual", True)):
        source = with_edits(stream(tmp_path / "in.mp4", EVEN, PYRAMID), EDITS[kind])
        report = check(source, tmp_path / "out.mkv", COPY, hashes=copied, other_reader=False)
        assert (report.codec == "copy") == copied
        assert any("copied packets" in note for note in report.notes) != copied

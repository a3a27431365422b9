"""As many pictures out as in, at the same times, and the same samples wherever nothing was corrected.

Over edit lists of every shape, B-pyramids, open GOPs, uneven times, gaps, offsets and starts without a key frame; for
strength 0, for a run that finds nothing to correct, and for one that corrects every picture. PyAV without the product
is the judge, and FFmpeg's own programs where they are installed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deflicker.core.settings import Settings
from deflicker.correction.apply import Correction
from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.video import deflicker
from tests.media.edits import OPEN, PLAIN, PYRAMID, TICKS, Edit, Shown, shown, shown_by_ffmpeg, stream, with_edits

STRUCTURES = {"plain": PLAIN, "pyramid": PYRAMID, "open GOPs": OPEN}
TIMES = {
    "even": [TICKS * n for n in range(20)],
    "uneven": [sum((300, 700, 512, 90, 1800)[k % 5] for k in range(n)) for n in range(20)],
    "gap": [TICKS * n + (38400 if n > 9 else 0) for n in range(20)],
}


@dataclass(frozen=True)
class Source:
    """How a file is made."""

    suffix: str = ".mp4"
    structure: str = "pyramid"
    times: str = "even"
    skip: int = 0
    """Packets left out at the start."""
    shift: int = 0
    """Ticks by which all times are moved."""
    edits: tuple[Edit, ...] = ()

    def make(self, folder: Path) -> Path:
        path = folder / f"in{self.suffix}"
        stream(path, TIMES[self.times], STRUCTURES[self.structure], skip=self.skip, shift=self.shift)
        return with_edits(path, self.edits) if self.edits and self.suffix in (".mp4", ".mov") else path


def records(frames: Iterator[Frame], info: VideoInfo, correction: Correction | None) -> Iterator[FrameRecord]:
    for frame in frames:
        picture = DecodedPicture.of(frame, info.layout)
        yield FrameRecord(picture=picture, proxy=torch.empty(3, 0, 0), correction=correction)


_SHORTEST_TS = 2048
"""Bytes below which FFmpeg cannot tell that a file is a transport stream: two tiny pictures."""


def finds_nothing(frames: Iterator[Frame], info: VideoInfo, on_progress: Any) -> Generator[FrameRecord, None, None]:
    yield from records(frames, info, None)


def brightens(frames: Iterator[Frame], info: VideoInfo, on_progress: Any) -> Generator[FrameRecord, None, None]:
    yield from records(frames, info, Correction(torch.full((3, 6, 8), 0.2)))


def same_times(before: Shown, after: Shown, suffix: str) -> bool:
    """To within a millisecond, Matroska's tick; not asked of times that go back, as no muxer takes those.

    A transport stream begins where its muxer likes.
    """
    if any(a[0] >= b[0] for a, b in pairwise(before)):
        return True
    late = after[0][0] - before[0][0] if suffix == ".ts" else 0
    return all(abs(b[0] - a[0] - late) <= Fraction(1, 1000) for a, b in zip(before, after, strict=True))


def check(how: Source, folder: Path, suffix: str, *, other_reader: bool = False) -> None:
    source, target = how.make(folder), folder / f"out{suffix}"
    before = shown(source)
    if not before:
        return
    runs: list[tuple[str, Settings, Any]] = [
        ("strength 0", Settings(strength=0, overwrite=True), None),
        ("clean", Settings(overwrite=True), finds_nothing),
        ("corrected", Settings(overwrite=True), brightens),
    ]
    if suffix == ".mkv":  # where packets cannot be the output, nothing may be lost either
        runs.append(("lossless", Settings(overwrite=True, codec="ffv1"), finds_nothing))
    for name, chosen, corrections in runs:
        report = deflicker(source, target, chosen, corrections=corrections)
        assert report.frames == len(before), name
        if suffix == ".ts" and target.stat().st_size < _SHORTEST_TS:
            continue
        after = shown(target)
        assert len(before) == len(after), name
        assert same_times(before, after, suffix), name
        same = [a[1] == b[1] for a, b in zip(before, after, strict=True)]
        if name == "corrected":
            assert not any(same)
        elif report.codec in ("copy", "ffv1"):
            assert all(same), name
        if other_reader and (theirs := shown_by_ffmpeg(source)) is not None:
            ours = shown_by_ffmpeg(target)
            assert ours is not None
            assert len(theirs) == len(ours), name
            assert same_times(theirs, ours, suffix), name
            if report.codec in ("copy", "ffv1"):
                assert [a[1] for a in theirs] == [b[1] for b in ours], name


@pytest.mark.parametrize(
    ("how", "suffix"),
    [
        (Source(edits=((500, 5 * TICKS, 1),)), ".mp4"),
        (Source(edits=((200, 1024, 1), (400, -1, 1), (200, 4096, 1)), times="uneven"), ".mkv"),
        (Source(structure="open GOPs", suffix=".mkv", skip=3, shift=25600), ".mp4"),
        (Source(structure="plain", times="gap", suffix=".ts", skip=2), ".mkv"),
    ],
    ids=str,
)
def test_made_files(how: Source, suffix: str, tmp_path: Path) -> None:
    check(how, tmp_path, suffix, other_reader=suffix == ".mp4" and how.suffix == ".mp4")


edit = st.tuples(
    st.integers(1, 1200), st.one_of(st.just(-1), st.integers(0, 11000)), st.sampled_from([1, 1, 1, 0, 0.5, 2])
)
sources = st.builds(
    Source,
    suffix=st.sampled_from([".mp4", ".mov", ".mkv", ".ts"]),
    structure=st.sampled_from(sorted(STRUCTURES)),
    times=st.sampled_from(sorted(TIMES)),
    skip=st.sampled_from([0, 0, 2, 3, 9]),
    shift=st.sampled_from([0, 25600, -2048]),
    edits=st.lists(edit, max_size=4).map(tuple),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(how=sources, suffix=st.sampled_from([".mp4", ".mov", ".mkv", ".ts"]))
def test_any_made_file(how: Source, suffix: str, tmp_path: Path) -> None:
    check(how, tmp_path, suffix, other_reader=how.structure == "pyramid")

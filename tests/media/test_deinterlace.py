"""Interlaced video: named, left as it is by default, and deinterlaced with bwdif where asked."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deflicker.core.errors import SettingsError
from deflicker.core.options import ReadOptions
from deflicker.core.settings import Settings
from deflicker.media.frame import Frame
from deflicker.media.reader import Reader
from deflicker.pipeline.video import deflicker
from tests.media.making import make, times

DEINTERLACE = ReadOptions(deinterlace=True)


def combed(path: Path, codec: str = "libx264", options: dict[str, str] | None = None) -> Path:
    """A bar that moves to the right, four pixels per field: every frame of the file shows it in two places."""
    with av.open(str(path), "w") as out:
        tff = {"preset": "ultrafast", "crf": "1", "x264-params": "tff=1"}
        video: Any = out.add_stream(codec, rate=25, options=options or tff)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        for number in range(8):
            samples = np.full((64, 96, 3), 60, np.uint8)
            for field in range(2):
                left = 8 * number + 4 * field
                samples[field::2, left : left + 16] = 200
            frame = av.VideoFrame.from_ndarray(samples, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def combing(frame: Frame) -> float:
    """Mean difference of each luma row from the mean of its neighbours."""
    luma = frame.planes[0].astype(float)
    return float(abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


def read(path: Path, options: ReadOptions = ReadOptions()) -> tuple[list[Frame], str]:
    with Reader(path, options) as reader:
        return list(reader.frames()), " ".join(reader.notes)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.mp4", "libx264", None), ("a.mkv", "mpeg2video", {"flags": "+ildct+ilme", "qscale": "1"})],
)
def test_deinterlaced_frames(name: str, codec: str, options: dict[str, str] | None, tmp_path: Path) -> None:
    """As many pictures at the same times, without combs."""
    path = combed(tmp_path / name, codec, options)
    before, said_before = read(path)
    after, said_after = read(path, DEINTERLACE)
    assert "--deinterlace auto" in said_before
    assert "bwdif" in said_after
    assert times(before) == times(after)
    assert [frame.duration for frame in before] == [frame.duration for frame in after]
    assert min(map(combing, before)) > 4 * max(map(combing, after))


def test_a_part_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    from deflicker.core.values import TimePoint

    path = combed(tmp_path / "a.mp4")
    whole, _ = read(path, DEINTERLACE)
    part, _ = read(path, ReadOptions(deinterlace=True, start=TimePoint(frame=3), end=TimePoint(frame=6)))
    assert len(part) == 3
    for a, b in zip(whole[3:6], part, strict=True):
        assert all(map(np.array_equal, a.planes, b.planes))


def test_progressive_video_is_not_touched(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", size=(64, 64))
    before, said = read(path)
    after, _ = read(path, DEINTERLACE)
    assert "interlace" not in said
    for a, b in zip(before, after, strict=True):
        assert all(map(np.array_equal, a.planes, b.planes))
    report = deflicker(path, tmp_path / "out.mp4", Settings(strength=0, deinterlace="auto"))
    assert report.codec == "copy"


def test_the_output(tmp_path: Path) -> None:
    """Off: the packets, still interlaced. Auto: encoded, progressive, with a note."""
    path = combed(tmp_path / "a.mp4")
    off = deflicker(path, tmp_path / "off.mp4", Settings(strength=0))
    auto = deflicker(path, tmp_path / "auto.mp4", Settings(strength=0, deinterlace="auto"))
    assert (off.codec, auto.codec) == ("copy", "libx264")
    assert (off.frames, auto.frames) == (8, 8)
    assert any("bwdif" in note for note in auto.notes)
    assert not any("interlaced flag" in each for each in auto.dropped)
    with Reader(tmp_path / "off.mp4") as left, Reader(tmp_path / "auto.mp4") as made:
        assert left.info.interlaced
        assert not made.info.interlaced


def test_interlaced_pictures_further_on_are_named(tmp_path: Path) -> None:
    progressive = make(tmp_path / "p.ts", size=(96, 64), pts=range(6))
    path = tmp_path / "both.ts"
    path.write_bytes(progressive.read_bytes() + combed(tmp_path / "i.ts").read_bytes())
    _, said = read(path)
    assert "begins progressive" in said


def test_unknown_choice() -> None:
    with pytest.raises(SettingsError, match="deinterlace"):
        Settings(deinterlace="on")  # type: ignore[arg-type]

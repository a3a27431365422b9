"""The small video of made pictures: right colours, right times, there whole or not at all."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deflicker.core.errors import OutputError
from deflicker.media.clip_writer import ClipWriter


def writer(path: Path, *, overwrite: bool = False) -> ClipWriter:
    return ClipWriter(
        path, source=path.with_name("in.mp4"), time_base=Fraction(1, 1000), rate=Fraction(25), overwrite=overwrite
    )


def picture(*rgb: int) -> np.ndarray:
    return np.tile(np.array(rgb, np.uint8), (32, 48, 1))


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.mov"])
def test_colours_and_times(name: str, tmp_path: Path) -> None:
    colours, times = [(200, 40, 40), (40, 200, 40), (40, 40, 200)], [0, 40, 200]
    with writer(tmp_path / name) as clip:
        for colour, pts in zip(colours, times, strict=True):
            clip.write(picture(*colour), pts)
    with av.open(tmp_path / name) as found:
        frames = list(found.decode(video=0))
    assert [round(1000 * frame.time) for frame in frames] == times
    for frame, colour in zip(frames, colours, strict=True):
        assert frame.colorspace == 1
        shown = frame.reformat(format="rgb24", src_colorspace=1, dst_colorspace=1).to_ndarray()
        assert shown[16, 24].tolist() == pytest.approx(colour, abs=8)


def test_times_that_do_not_rise_are_mended(tmp_path: Path) -> None:
    with writer(tmp_path / "c.mkv") as clip:
        for pts in (0, 0, 5):
            clip.write(picture(9, 9, 9), pts)
    with av.open(tmp_path / "c.mkv") as found:
        assert len(list(found.decode(video=0))) == 3


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    clip = writer(tmp_path / "c.mp4")
    clip.write(picture(1, 2, 3), 0)
    clip.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    with pytest.raises(OutputError, match="no picture"):
        writer(tmp_path / "c.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="ends in one of"):
        writer(tmp_path / "c.gif")
    (tmp_path / "c.mp4").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        writer(tmp_path / "c.mp4")

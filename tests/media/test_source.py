"""Input that is no plain file: stored while it is needed, and gone afterwards."""

from __future__ import annotations

import io
import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from deflicker.core.errors import InputError, SettingsError
from deflicker.core.options import ReadOptions
from deflicker.core.values import RawVideo
from deflicker.media.source import open_source
from tests.media.making import frames_of


def test_a_file_is_taken_as_it_is(clip: Path) -> None:
    with open_source(str(clip)) as opened:
        assert (opened.name, opened.info.path, opened.info.notes) == (str(clip), clip, ())


@pytest.mark.parametrize("beside", [True, False])
def test_a_stream_is_stored_while_it_is_needed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    if not beside:
        monkeypatch.setattr("tempfile.tempdir", str(folder))
    with open_source(io.BytesIO(clip.read_bytes()), target=folder / "out.mp4" if beside else None) as opened:
        assert opened.name == "-"
        assert [folder / name for name in os.listdir(folder)] == [opened.info.path.parent]
        assert len(frames_of(opened.info.path)) == 12
        assert any("stored first" in note for note in opened.info.notes)
    assert os.listdir(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes")
def test_a_named_pipe_is_a_stream(clip: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(clip.read_bytes()))
    writer.start()
    with open_source(pipe, target=tmp_path / "out.mp4") as opened:
        assert opened.info.width == 96
    writer.join()


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "the input stream is empty"), (b"x" * 999, "the input stream cannot be read")]
)
def test_a_stream_that_is_no_video(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words), open_source(io.BytesIO(data), target=tmp_path / "out.mp4"):
        pass
    assert os.listdir(tmp_path) == []


def test_raw_frames(tmp_path: Path) -> None:
    settings = ReadOptions(raw_video=RawVideo(4, 2, Fraction(30000, 1001), "gray"))
    (tmp_path / "raw").write_bytes(bytes(range(24)))
    with open_source(tmp_path / "raw", settings) as opened:
        info = opened.info
    assert (info.width, info.height, info.pix_fmt, info.average_rate) == (4, 2, "gray", Fraction(30000, 1001))
    assert info.notes == ()


def test_raw_frames_of_no_known_format(clip: Path) -> None:
    with (
        pytest.raises(SettingsError, match="rgb99"),
        open_source(clip, ReadOptions(raw_video=RawVideo(4, 2, Fraction(1), "rgb99"))),
    ):
        pass


def test_a_frame_rate_for_what_has_one(clip: Path) -> None:
    with pytest.raises(SettingsError, match="numbered images"), open_source(clip, ReadOptions(fps=Fraction(24))):
        pass

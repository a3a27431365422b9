"""What a file holds, and one clear line where that is nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from deflicker.core.errors import InputError
from deflicker.media.probe import probe
from tests.awkward import MAKERS
from tests.media.making import clip, make


def test_what_is_known_of_a_video(tmp_path: Path) -> None:
    path = make(
        tmp_path / "in.mkv", pts=range(0, 400, 40), time_base=Fraction(1, 1000), audio=["aac"], rotation=90,
        sample_aspect=Fraction(4, 3), tags={"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1},
        pix_fmt="yuv420p10le",
    )  # fmt: skip
    info = probe(path)
    assert (info.width, info.height, info.pix_fmt, info.codec) == (64, 48, "yuv420p10le", "h264")
    assert info.layout.bit_depth == 10
    assert info.layout.matrix == "bt2020"
    assert (info.time_base, info.average_rate, info.first_pts) == (Fraction(1, 1000), 25, 0)
    assert info.duration_s == pytest.approx(0.4, abs=0.05)
    assert info.frame_count_hint == pytest.approx(10, abs=1)
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert info.rotation == 90
    assert (info.color_primaries, info.color_trc, info.colorspace, info.color_range) == (9, 16, 9, 1)
    assert info.other_streams == ("audio 1: aac, deu",)
    assert not info.notes


def test_a_lying_frame_rate_is_replaced_and_noted() -> None:
    info = probe(clip("awkward/mkv_srt_subtitle.mkv"))
    assert info.average_rate == 30
    assert "1000 frames per second" in " ".join(info.notes)


def test_a_true_frame_rate_is_believed() -> None:
    info = probe(clip("awkward/vfr_screen_recording_3026x1386.mp4"))
    assert info.average_rate == Fraction(3628800, 502589)
    assert not info.notes


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zero_byte.webm", "empty"),
        ("not_a_video_lfs_pointer.mp4", "pointer"),
        ("not_a_video_annex_pointer.mp4", "pointer"),
        ("audio_only.mp4", "no video stream"),
        ("tiny_262_bytes.mp4", "no video stream"),
        ("corrupt_vp9_bitstream.webm", "no picture|no frame could"),
    ],
)
def test_files_that_hold_no_video(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        probe(clip(f"awkward/{name}"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["interlaced.mp4", "interlaced.mkv"])
def test_interlaced_pictures_are_recognised(tmp_path: Path, name: str) -> None:
    info = probe(MAKERS[name](tmp_path / name))
    assert info.interlaced


@pytest.mark.parametrize(("name", "says"), [("a thousand a second.mkv", "1000 frames per second")])
def test_a_rate_that_lies_is_replaced(tmp_path: Path, name: str, says: str) -> None:
    info = probe(MAKERS[name](tmp_path / name))
    assert info.average_rate is not None
    assert float(info.average_rate) == pytest.approx(30, rel=0.02)
    assert says in " ".join(info.notes)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="is not a file"):
        probe(tmp_path)
    (tmp_path / "text.mp4").write_text("Once upon a time\n" * 200)
    with pytest.raises(InputError, match="cannot be read as a video"):
        probe(tmp_path / "text.mp4")


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    path = make(tmp_path / "in.mkv", codec="ffv1")
    data = path.read_bytes()
    # Matroska's PixelWidth (0xB0) and PixelHeight (0xBA), one byte each, become 65535: the largest two bytes hold.
    assert data.count(b"\xb0\x81\x40\xba\x81\x30") == 1
    hostile = data.replace(b"\xb0\x81\x40\xba\x81\x30", b"\xb0\x82\xff\xff\xba\x82\xff\xff")
    (tmp_path / "hostile.mkv").write_bytes(hostile)
    with pytest.raises(InputError):
        probe(tmp_path / "hostile.mkv")


@pytest.mark.parametrize("kept", [100, 900, 2000])
def test_truncated_files_never_crash(tmp_path: Path, kept: int) -> None:
    path = make(tmp_path / "in.mp4")
    (tmp_path / "cut.mp4").write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError):
        probe(tmp_path / "cut.mp4")

"""An encoder that refuses is not the end: what the container holds that keeps size, depth, chroma and alpha."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.media.encode_plan import plan_encoding
from deflicker.media.frame import Frame
from deflicker.media.probe import probe
from deflicker.media.reader import Reader
from deflicker.pipeline.video import deflicker
from tests.media.edits import timecode_of
from tests.media.making import make

ENCODE = Settings(strength=0, start=TimePoint(frame=0), end=TimePoint(frame=4))
SLOW = pytest.mark.slow
WEBM_ALPHA = {"auto-alt-ref": "0"}


def made(
    path: Path,
    codec: str,
    pix_fmt: str,
    size: tuple[int, int],
    options: dict[str, str],
    timecode: str = "",
    opaque: int = 0,
) -> Path:
    """Five pictures, half of each half transparent where the format has alpha, but for the first `opaque`."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        if timecode:
            video.metadata["timecode"] = timecode
        if "vp" in codec:
            video.metadata["alpha_mode"] = "1"
        for number in range(5):
            samples = np.full((size[1], size[0], 4), 60 + 20 * number, np.uint8)
            samples[:, : size[0] // 2, 3], samples[:, size[0] // 2 :, 3] = 255, 255 if number < opaque else 100
            frame = av.VideoFrame.from_ndarray(samples, format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def frames_of(path: Path) -> list[Frame]:
    with Reader(path) as reader:
        return list(reader.frames())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size", "options"),
    [
        ("in.webm", "libvpx", "yuva420p", (320, 213), WEBM_ALPHA),
        pytest.param("in.mkv", "libvpx", "yuva420p", (320, 212), WEBM_ALPHA, marks=SLOW),
        ("in.mov", "prores_ks", "yuva444p10le", (320, 212), {}),
        pytest.param("in.mov", "prores_ks", "yuv422p10le", (320, 212), {}, marks=SLOW),
        ("in.mov", "dnxhd", "yuv422p10le", (256, 130), {"profile": "dnxhr_hqx"}),
        pytest.param("in.mov", "dnxhd", "yuv422p", (256, 130), {"profile": "dnxhr_lb"}, marks=SLOW),
        pytest.param("in.mov", "cfhd", "gbrap12le", (256, 128), {}, marks=SLOW),
        pytest.param("in.mov", "v210", "yuv422p10le", (256, 128), {}, marks=SLOW),
        ("in.avi", "utvideo", "yuv422p", (64, 48), {}),
        pytest.param("in.avi", "huffyuv", "yuv422p", (64, 48), {}, marks=SLOW),
        ("in.mkv", "ffv1", "yuva444p16le", (64, 48), {}),
        ("in.mov", "mjpeg", "yuvj422p", (64, 48), {}),
    ],
)
def test_codecs_of_editing_stay(
    name: str, codec: str, pix_fmt: str, size: tuple[int, int], options: dict[str, str], tmp_path: Path
) -> None:
    """The source's codec, size, chroma and alpha, with what its encoder has of its depth; close to the source."""
    source = made(tmp_path / name, codec, pix_fmt, size, options, "01:00:00:00" if name == "in.mov" else "")
    target = tmp_path / f"out{source.suffix}"
    report = deflicker(source, target, ENCODE)
    before, after = probe(source), probe(target)
    assert (before.codec, before.width, before.height) == (after.codec, after.width, after.height)
    assert before.layout.chroma_shift == after.layout.chroma_shift
    assert before.transparent == after.transparent
    assert report.frames == 4
    assert not report.dropped or source.suffix == ".avi"
    for a, b in zip(frames_of(source)[:4], frames_of(target), strict=True):
        assert all(
            np.abs(x.astype(int) - y.astype(int)).mean() < 0.02 * x.max()
            for x, y in zip(a.planes, b.planes, strict=True)
        )
    if name == "in.mov":
        assert timecode_of(source) == timecode_of(target) == "01:00:00:00"


def test_alpha_that_comes_after_the_first_picture_is_kept(tmp_path: Path) -> None:
    source = made(tmp_path / "in.mkv", "ffv1", "yuva420p", (64, 48), {}, opaque=2)
    report = deflicker(source, tmp_path / "out.mkv", ENCODE)
    assert not report.dropped
    for before, after in zip(frames_of(source)[:4], frames_of(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(before.planes[-1], after.planes[-1])


@pytest.mark.parametrize("suffix", [".avi", pytest.param(".nut", marks=SLOW)])
def test_a_copy_that_loses_what_its_decoder_needs_is_none(suffix: str, tmp_path: Path) -> None:
    """Ut Video's tag says which pixel format it has."""
    source = made(tmp_path / f"in{suffix}", "utvideo", "yuv422p", (64, 48), {})
    assert deflicker(source, tmp_path / f"out{suffix}", Settings(strength=0)).codec == "copy"
    assert len(frames_of(tmp_path / f"out{suffix}")) == 5


@pytest.mark.parametrize("suffix", [".mov", pytest.param(".mp4", marks=SLOW), ".mkv", ".avi"])
def test_timecode_is_kept_or_named(suffix: str, tmp_path: Path) -> None:
    source = made(tmp_path / "in.mov", "libx264", "yuv420p", (64, 48), {"preset": "ultrafast"}, "10:00:00:00")
    for number, how in enumerate((Settings(strength=0), ENCODE)):
        target = tmp_path / f"{number}{suffix}"
        report = deflicker(source, target, how)
        kept = timecode_of(target) == "10:00:00:00"
        assert kept == any("timecode" in each for each in report.copied)
        assert kept != any("timecode" in each for each in report.dropped)
        assert kept == (suffix != ".avi")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name", "expected"),
    [
        pytest.param("prores_ks", "yuva444p10le", "out.avi", "ffv1", marks=SLOW),
        pytest.param("utvideo", "gbrp", "out.mkv", "ffv1", marks=SLOW),
        ("cfhd", "gbrp12le", "out.mkv", "ffv1"),
        ("dnxhd", "yuv422p10le", "out.mkv", "libx264"),
        pytest.param("libx264", "yuv420p", "out.webm", "libvpx-vp9", marks=SLOW),
    ],
)
def test_the_nearest_that_the_container_holds(
    codec: str, pix_fmt: str, name: str, expected: str, tmp_path: Path
) -> None:
    source = tmp_path / ("in.avi" if codec == "utvideo" else "in.mov")
    profile = {"profile": "dnxhr_hqx"} if codec == "dnxhd" else {}
    made(source, codec, pix_fmt, (256, 128), profile)
    report = deflicker(source, tmp_path / name, ENCODE)
    assert report.codec == expected
    assert any(expected in note for note in report.notes)
    before, after = probe(source).layout, probe(tmp_path / name).layout
    assert (before.family, before.chroma_shift) == (after.family, after.chroma_shift) or expected == "libvpx-vp9"


def test_where_the_sources_own_encoder_refuses(tmp_path: Path) -> None:
    """DNxHR takes no picture this small: the plan says so before any work and names what is taken."""
    info = probe(make(tmp_path / "in.mov", codec="libx264", pix_fmt="yuv422p10le", options={"preset": "ultrafast"}))
    from dataclasses import replace

    from deflicker.core.options import EncodeOptions

    plan = plan_encoding(replace(info, codec="dnxhd"), "mov", tmp_path / "out.mov", EncodeOptions())
    assert plan.encoder == "libx264"
    assert plan.pixels.pix_fmt == "yuv422p10le"
    assert "dnxhd refuses 64x48" in plan.notes[0]

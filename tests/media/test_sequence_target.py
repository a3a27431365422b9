"""Numbered images in and out."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from deflicker import InputError, OutputError, Settings, SettingsError, deflicker
from deflicker.media.reader import Reader
from tests.assets import drifting, write_video
from tests.media.making import frames_of

COPY = Settings(strength=0, fps=Fraction(24))
FAST = Settings(preset="fast", device="cpu", precision="fp32", fps=Fraction(24))


def codes(picture: Any, bits: int) -> Any:
    return (picture * (2**bits - 1)).round().astype(np.uint16 if bits > 8 else np.uint8)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Twelve numbered images from 5 on, in a folder of their own; their pattern."""
    (tmp_path / "frames").mkdir()
    for number, picture in enumerate(drifting(12), 5):
        Image.fromarray(codes(picture, 8)).save(tmp_path / "frames" / f"{number:04d}.png")
    return tmp_path / "frames" / "%04d.png"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "%04d.png"


def pixels(folder: Path) -> list[Any]:
    return [np.asarray(Image.open(folder / name)).astype(float) for name in sorted(os.listdir(folder))]


@pytest.mark.usefixtures("raft")
def test_images_come_out_steady(frames: Path, out: Path) -> None:
    report = deflicker(frames, out, FAST)
    assert report.frames_changed >= 10
    assert sorted(os.listdir(out.parent)) == [f"{number:04d}.png" for number in range(5, 17)]
    before, after = ([image.mean() for image in pixels(path.parent)] for path in (frames, out))
    assert np.abs(np.diff(after, 2)).mean() < 0.3 * np.abs(np.diff(before, 2)).mean()


def test_images_without_flicker_are_copied_byte_by_byte(frames: Path, out: Path) -> None:
    report = deflicker(frames, out, COPY)
    assert (report.codec, report.frames) == ("copy", 12)
    for name in os.listdir(frames.parent):
        assert (out.parent / name).read_bytes() == (frames.parent / name).read_bytes()


def test_images_become_a_video_of_the_given_rate(frames: Path, tmp_path: Path) -> None:
    deflicker(frames, tmp_path / "out.mkv", Settings(strength=0, fps=Fraction(30000, 1001), codec="ffv1"))
    with Reader(tmp_path / "out.mkv") as reader:
        assert reader.info.average_rate == Fraction(30000, 1001)
        assert len(list(reader.frames())) == 12


@pytest.mark.parametrize(("kind", "depth"), [("png", 16), ("tiff", 16), ("dpx", 12), ("dpx", 10)])
def test_depth_stays(kind: str, depth: int, tmp_path: Path, out: Path) -> None:
    """Of 16-bit PNG and TIFF, of DPX at its usual depths: every sample, there and back."""
    video = write_video(tmp_path / "in.mkv", drifting(3), codec="ffv1", pix_fmt=f"gbrp{depth}le")
    images = out.with_suffix(f".{kind}")
    deflicker(video, images, Settings(strength=0))
    report = deflicker(images, tmp_path / "back.mkv", Settings(strength=0, codec="ffv1"))
    assert not any("bits become" in note for note in report.notes)
    with Reader(images) as reader:
        assert reader.info.layout.bit_depth == depth
    for before, after in zip(frames_of(video), frames_of(tmp_path / "back.mkv"), strict=True):
        assert before.planes[0].dtype == np.uint16
        assert all((a == b).all() for a, b in zip(before.planes, after.planes, strict=True))


@pytest.mark.parametrize("kind", ["jpg", "tiff", "bmp", "dpx", "webp"])
def test_other_kinds_of_images(frames: Path, out: Path, kind: str) -> None:
    target = out.with_name(f"a%d.{kind}")
    deflicker(frames, target, COPY)
    assert sorted(os.listdir(out.parent)) == sorted(f"a{number}.{kind}" for number in range(5, 17))
    with Reader(target) as reader:
        found = next(iter(reader.frames()))
    assert (reader.info.width, reader.info.height, found.planes[0].shape) == (96, 64, (64, 96))


def test_a_part_is_numbered_from_the_first(frames: Path, out: Path) -> None:
    from deflicker import TimePoint

    deflicker(frames, out, Settings(strength=0, start=TimePoint(frame=2), end=TimePoint(frame=4)))
    assert sorted(os.listdir(out.parent)) == ["0005.png", "0006.png"]
    assert (pixels(out.parent)[0] == pixels(frames.parent)[2]).all()


def test_images_that_are_there_stay(frames: Path, out: Path) -> None:
    (out.parent / "0900.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"0900\.png already exists"):
        deflicker(frames, out, COPY)
    assert os.listdir(out.parent) == ["0900.png"]
    report = deflicker(frames, out, Settings(strength=0, overwrite=True))
    assert any("1 more images" in note and "0900.png" in note for note in report.notes)
    assert (out.parent / "0900.png").read_bytes() == b"precious"


def test_nothing_is_left_of_a_failed_run(frames: Path, out: Path) -> None:
    def stop(step: Any) -> None:
        if step.stage == "finish":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        deflicker(frames, out, Settings(strength=0, start=None, pix_fmt="rgb24"), on_progress=stop)
    assert os.listdir(out.parent) == []


def test_mistakes(frames: Path, out: Path) -> None:
    with pytest.raises(OutputError, match="the input itself"):
        deflicker(frames, frames, Settings(strength=0, overwrite=True))
    with pytest.raises(OutputError, match=r"images can be \.png"):
        deflicker(frames, out.with_suffix(".psd"), COPY)
    with pytest.raises(OutputError, match=r"beyond white.*write 16-bit \.png"):
        deflicker(frames, out.with_suffix(".exr"), COPY)
    with pytest.raises(OutputError, match="create it first"):
        deflicker(frames, out.parent / "more" / out.name, COPY)
    (frames.parent / "0008.png").unlink()
    with pytest.raises(InputError, match=r"0008\.png is missing"):
        deflicker(frames, out, COPY)
    with pytest.raises(SettingsError, match="fps"):
        Settings(fps=Fraction(0))


def test_floats_are_read_and_what_that_costs_is_said(tmp_path: Path) -> None:
    """OpenEXR in: 16 bits out, what lies in 0 … 1 within a sixth of a level of 8 bits."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number in range(1, 4):
        with av.open(tmp_path / "in" / f"{number}.exr", "w", format="image2", options={"update": "1"}) as output:
            stream = output.add_stream("exr", rate=24)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "gbrpf32le"
            frame = av.VideoFrame(64, 48, "gbrpf32le")
            for plane, value in zip(frame.planes, (0.25, 0.5, 1.5), strict=True):
                plane.update(np.full((48, plane.line_size // 4), value, np.float32).tobytes())
            output.mux([*stream.encode(frame), *stream.encode()])
    report = deflicker(tmp_path / "in" / "%d.exr", tmp_path / "out" / "%d.png", COPY)
    assert any("brighter than white" in note for note in report.notes)
    with av.open(tmp_path / "out" / "1.png") as container:
        (picture,) = container.decode(video=0)
        red, green, blue = picture.to_ndarray(format="rgb48le")[0, 0].tolist()
    assert (red, green, blue) == (65535, pytest.approx(65535 / 4, abs=40), pytest.approx(65535 / 2, abs=40))

"""Animated WebP: every picture with its own delay and alpha, in memory that does not grow; damage is told."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deflicker.core.errors import InputError
from deflicker.core.options import Limits, ReadOptions
from deflicker.core.values import TimePoint
from deflicker.media.probe import probe
from deflicker.media.reader import Reader
from deflicker.media.remux import remux
from deflicker.media.webp import WebpStream, is_animated_webp
from scripts.files.facts import facts_of
from tests.media.making import clip, frames_of, times, transcode

DELAYS = [40, 70, 1, 389, 77, 40]


def pictures(alpha: int = 255) -> list[Any]:
    """`[H, W, 4]` uint8, each of another colour."""
    colours = [np.array([20 + 30 * number, 200 - 20 * number, 90, alpha], np.uint8) for number in range(len(DELAYS))]
    return [np.broadcast_to(colour, (24, 32, 4)).copy() for colour in colours]


def animation(path: Path, alpha: int = 255, exif: Any = None) -> Path:
    first, *rest = (Image.fromarray(picture) for picture in pictures(alpha))
    extra = {"exif": exif} if exif else {}
    first.save(path, save_all=True, append_images=rest, duration=DELAYS, lossless=True, **extra)
    return path


@pytest.mark.parametrize("alpha", [255, 120])
def test_every_picture_at_its_time(tmp_path: Path, alpha: int) -> None:
    path = animation(tmp_path / "in.webp", alpha)
    with Reader(path, ReadOptions(limits=Limits(strict=True))) as reader:
        info, frames = reader.info, list(reader.frames())
        assert reader.notes == ()
    assert (info.codec, info.width, info.height, info.transparent) == ("webp", 32, 24, alpha < 255)
    assert times(frames) == [Fraction(sum(DELAYS[:n]), 1000) for n in range(len(DELAYS))]
    assert [frame.duration * frame.time_base for frame in frames] == [Fraction(d, 1000) for d in DELAYS]
    for frame, picture in zip(frames, pictures(alpha), strict=True):
        green, blue, red, opacity = frame.planes
        assert all((plane == picture[..., k]).all() for plane, k in ((red, 0), (green, 1), (blue, 2), (opacity, 3)))


def test_an_independent_reader_agrees(tmp_path: Path) -> None:
    path = animation(tmp_path / "in.webp")
    facts = facts_of(path)
    assert facts.streams[0].times == times(frames_of(path))
    transcode(path, tmp_path / "out.mp4")
    assert facts_of(tmp_path / "out.mp4").streams[0].times == facts.streams[0].times


def test_a_part_of_it(tmp_path: Path) -> None:
    path = animation(tmp_path / "in.webp")
    with Reader(path, ReadOptions(start=TimePoint(frame=2), end=TimePoint(frame=5))) as reader:
        assert [frame.pts for frame in reader.frames()] == [110, 111, 500]


def test_it_is_never_copied_as_what_it_was_decoded_to(tmp_path: Path) -> None:
    assert remux(probe(animation(tmp_path / "in.webp")), tmp_path / "out.mkv") is None


def test_a_still_picture_is_left_to_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "in.webp"
    Image.fromarray(pictures()[0]).save(path, lossless=True)
    assert not is_animated_webp(path.read_bytes()[:64])
    assert len(frames_of(path)) == 1


def test_what_a_generator_wrote_into_it_is_carried_over(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = 'workflow:{"nodes": [1]}', 'prompt:{"3": {}}'
    path = animation(tmp_path / "in.webp", exif=exif)
    transcode(path, tmp_path / "out.mp4")
    words = facts_of(tmp_path / "out.mp4").tags
    assert (words["workflow"], words["prompt"]) == ('{"nodes": [1]}', '{"3": {}}')


def test_it_is_made_while_it_is_read(tmp_path: Path) -> None:
    stream = WebpStream(animation(tmp_path / "in.webp"))
    stream.read(1000)
    assert len(stream._made) < 3 * 32 * 24 * 4 + 4000
    stream.close()


def test_a_file_cut_off_gives_its_whole_pictures(tmp_path: Path) -> None:
    path = animation(tmp_path / "in.webp")
    short = tmp_path / "cut.webp"
    short.write_bytes(path.read_bytes()[:-40])
    with Reader(short) as reader:
        assert 3 <= len(list(reader.frames())) < len(DELAYS)
        assert any("cut off after picture" in what for what, _ in reader.damage)
    with pytest.raises(InputError, match="--strict"), Reader(short, ReadOptions(limits=Limits(strict=True))) as reader:
        list(reader.frames())


@pytest.mark.parametrize("kept", [30, 40, 60])
def test_nothing_of_it_left(tmp_path: Path, kept: int) -> None:
    path = animation(tmp_path / "in.webp")
    (tmp_path / "cut.webp").write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError):
        probe(tmp_path / "cut.webp")


def test_a_header_that_claims_too_much_is_not_even_decoded(tmp_path: Path) -> None:
    data = bytearray(animation(tmp_path / "in.webp").read_bytes())
    data[24:30] = b"\xff" * 6  # 16777216 x 16777216
    (tmp_path / "hostile.webp").write_bytes(data)
    with pytest.raises(InputError, match="claims 16777216x16777216"):
        probe(tmp_path / "hostile.webp")


def test_what_comfyui_saves() -> None:
    frames = frames_of(clip("awkward/animated_webp_wan21.webp"))
    assert len(frames) == 33
    assert times(frames)[-1] == Fraction(32 * 62, 1000)

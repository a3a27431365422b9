"""GIF, WebP and APNG, in and out: pictures, uneven delays, what becomes of a clean one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deflicker import Settings, deflicker
from deflicker.media.animation import play_count
from tests.assets import drifting, make_video

COPY = Settings(strength=0)
DELAYS_MS = [100, 30, 200, 40, 70, 50, 120, 90]


def animate(path: Path, *, flicker: float = 0.08, alpha: bool = False, **options: Any) -> Path:
    """Eight pictures with uneven delays, as Pillow writes them."""
    pictures = [Image.fromarray((picture * 255).astype(np.uint8)) for picture in drifting(8, flicker=flicker)]
    if alpha:
        for picture in pictures:
            picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    options |= {"lossless": True} if path.suffix == ".webp" else {}
    options = {"loop": 0} | options
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DELAYS_MS, **options)
    return path


def seen(path: Path) -> tuple[list[int], list[Any]]:
    """Delays in milliseconds and pictures, as Pillow reads them."""
    delays, pictures = [], []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            delays.append(round(image.info["duration"]))
            pictures.append(np.asarray(image.convert("RGBA")).astype(float))
    return delays, pictures


@pytest.mark.parametrize("before", ["gif", "webp", "png"])
@pytest.mark.parametrize("after", ["gif", "webp", "apng"])
def test_delays_are_kept(tmp_path: Path, before: str, after: str) -> None:
    source, target = animate(tmp_path / f"in.{before}"), tmp_path / f"out.{after}"
    deflicker(source, target, COPY)
    delays, pictures = seen(target)
    assert delays == DELAYS_MS
    for old, new in zip(seen(source)[1], pictures, strict=True):
        assert np.abs(old - new).mean() < 6


@pytest.mark.usefixtures("raft")
@pytest.mark.parametrize(("before", "after"), [("webp", "webp"), ("gif", "png")])
def test_an_animation_comes_out_steady(tmp_path: Path, before: str, after: str) -> None:
    source, target = animate(tmp_path / f"in.{before}"), tmp_path / f"out.{after}"
    report = deflicker(source, target, Settings(preset="fast", device="cpu"))
    assert report.source == str(source)
    (old_delays, old), (delays, new) = seen(source), seen(target)
    assert delays == old_delays == DELAYS_MS
    shaking = [np.abs(np.diff([picture[..., :3].mean() for picture in each], 2)).mean() for each in (old, new)]
    assert shaking[1] < 0.4 * shaking[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_without_flicker_is_copied(tmp_path: Path, kind: str) -> None:
    source = animate(tmp_path / f"in.{kind}")
    report = deflicker(source, tmp_path / f"out.{kind}", COPY)
    assert (report.codec, report.frames) == ("copy", 8)
    assert all((a == b).all() for a, b in zip(seen(source)[1], seen(tmp_path / f"out.{kind}")[1], strict=True))
    if kind == "webp":
        assert (tmp_path / "out.webp").read_bytes() == source.read_bytes()


def test_transparency_is_kept(tmp_path: Path) -> None:
    source = animate(tmp_path / "in.webp", alpha=True)
    deflicker(source, tmp_path / "out.apng", COPY)
    assert all((a == b).all() for a, b in zip(seen(source)[1], seen(tmp_path / "out.apng")[1], strict=True))


# --- How often it plays -----------------------------------------------------------------------------------------------

GIF_ONCE = b"GIF89a" + bytes([1, 0, 1, 0, 0x80, 0, 0]) + bytes(6)
"""Two colours, no extension yet."""
NETSCAPE = b"\x21\xff\x0bNETSCAPE2.0\x03\x01"
COMMENT = b"\x21\xfe\x03abc\x00"
PICTURE = b"\x2c"


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (GIF_ONCE + PICTURE, 1),
        (GIF_ONCE + COMMENT + NETSCAPE + b"\x00\x00\x00" + PICTURE, 0),
        (GIF_ONCE + NETSCAPE + b"\x04\x00\x00" + PICTURE, 5),
        (GIF_ONCE[:10] + bytes([0, 0, 0]) + NETSCAPE + b"\x00\x01\x00" + PICTURE, 257),  # without a colour table
        (GIF_ONCE[:12], 1),  # cut off
        (
            b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"
            + bytes(10)
            + b"ANIM\x06\x00\x00\x00"
            + bytes(4)
            + b"\x03\x00",
            3,
        ),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 \x01\x00\x00\x00x\x00", None),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x08acTL" + b"\x00\x00\x00\x02\x00\x00\x00\x07", 7),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x00IDAT" + bytes(4), None),
        (b"", None),
        (b"\x00\x00\x00\x18ftypmp42", None),
    ],
)
def test_what_a_header_says(data: bytes, times: int | None, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    assert play_count(tmp_path / "x") == times


@pytest.mark.parametrize("before", ["gif", "webp", "png"])
@pytest.mark.parametrize("after", ["gif", "webp", "apng"])
@pytest.mark.parametrize("times", [0, 1, 4])
def test_it_plays_as_often(tmp_path: Path, before: str, after: str, times: int) -> None:
    """Also where packets are copied."""
    # Pillow counts as each format does: a GIF's repetitions, none of which is no extension.
    loop = {"loop": times} if before != "gif" or times == 0 else {"loop": times - 1 or None}
    source, target = animate(tmp_path / f"in.{before}", **loop), tmp_path / f"out.{after}"
    assert play_count(source) == times
    assert not [what for what in deflicker(source, target, COPY).dropped if "looping" in what]
    assert play_count(target) == times
    with Image.open(target) as image:
        expected = {0: 0, 1: None, 4: 3}[times] if after == "gif" else times
        assert image.info.get("loop") == expected


def test_where_it_cannot_be_said(tmp_path: Path) -> None:
    for times, words in ((0, ["looping (without end)"]), (3, ["looping (3 times)"]), (1, [])):
        source = animate(tmp_path / f"{times}.webp", loop=times)
        dropped = deflicker(source, tmp_path / f"{times}.mp4", COPY).dropped
        assert [what.split(":")[0] for what in dropped if "looping" in what] == words


def test_a_video_becomes_an_endless_animation(tmp_path: Path) -> None:
    deflicker(make_video(tmp_path / "in.mp4", frames=3, sound=False), tmp_path / "out.gif", COPY)
    assert play_count(tmp_path / "out.gif") == 0

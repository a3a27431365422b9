"""GIF, WebP and APNG, in and out: pictures, uneven delays, what becomes of a clean one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deflicker import Settings, deflicker
from tests.assets import drifting

COPY = Settings(strength=0)
DELAYS_MS = [100, 30, 200, 40, 70, 50, 120, 90]


def animate(path: Path, *, flicker: float = 0.08, alpha: bool = False, **options: Any) -> Path:
    """Eight pictures with uneven delays, as Pillow writes them."""
    pictures = [Image.fromarray((picture * 255).astype(np.uint8)) for picture in drifting(8, flicker=flicker)]
    if alpha:
        for picture in pictures:
            picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    options |= {"lossless": True} if path.suffix == ".webp" else {}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DELAYS_MS, loop=0, **options)
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
        assert image.info.get("loop", 0) == 0
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

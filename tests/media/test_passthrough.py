"""Streams beside the video that are damaged in themselves."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from deflicker import Settings, deflicker
from tests.assets import make_video

DAMAGED = "what a decoder must know to begin is missing or damaged in the file"


@pytest.fixture
def without_setup(tmp_path: Path) -> Path:
    """MP4 with AAC whose set-up is zeros."""
    path = make_video(tmp_path / "in.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"esds")
    size = int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 : at - 4 + size] = bytes(size - 8)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("start", [False, True], ids=["copied", "encoded"])
def test_sound_without_its_setup_is_dropped_and_named(without_setup: Path, tmp_path: Path, start: bool) -> None:
    target = tmp_path / "out.mkv"
    report = deflicker(without_setup, target, Settings(strength=0, codec="libx264" if start else None))
    assert next(what for what in report.dropped if "aac" in what).endswith(DAMAGED)
    with av.open(target) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert sum(1 for _ in container.decode(video=0)) == 12


@pytest.mark.parametrize("name", ["in.mp4", "in.ts"])
def test_sound_with_its_setup_is_copied(tmp_path: Path, name: str) -> None:
    source, target = make_video(tmp_path / name), tmp_path / "out.mkv"
    report = deflicker(source, target, Settings(strength=0))
    assert not any(DAMAGED in what for what in report.dropped)
    with av.open(target) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 20000

"""`plan()`: what a run would do is what it then does, and nothing is written."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deflicker import InputError, OutputError, Progress, Settings, SettingsError, WeightsError, deflicker, plan
from deflicker.core.values import TimePoint
from tests.assets import drifting, make_video, sample_frames, write_video
from tests.fakes import NoModels
from tests.media.making import make

FAST = Settings(preset="fast", device="cpu", precision="fp32")

pytestmark = pytest.mark.usefixtures("raft")


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_plan_is_what_happens(clip: Path, tmp_path: Path) -> None:
    target, steps, before = tmp_path / "out.mp4", [], listing(tmp_path)
    foreseen = plan(clip, target, FAST, on_progress=steps.append)
    assert listing(tmp_path) == before
    assert steps[-1] == Progress("scan", 12, 12)
    assert (foreseen.source, foreseen.target) == (str(clip), target)
    assert foreseen.video.startswith("h264, 96x64, yuv420p, 25 frames a second, 0.")
    assert foreseen.encoder == "libx264 (crf 16, preset medium), yuv420p"
    assert foreseen.device == "cpu"
    assert 500 << 20 < foreseen.memory_bytes < 4 << 30

    report = deflicker(clip, target, FAST)
    assert (foreseen.frames, len(foreseen.shots)) == (report.frames, report.shots)
    assert foreseen.device_reason == report.device_reason
    assert [stream for stream in foreseen.streams if "dropped" not in stream] == [f"{c}: copied" for c in report.copied]


def test_the_time_is_of_the_right_size(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=30)
    foreseen = plan(clip, tmp_path / "out.mp4", FAST).seconds
    started = time.monotonic()
    deflicker(clip, tmp_path / "out.mp4", FAST)
    took = time.monotonic() - started
    assert took / 6 < foreseen < took * 6  # other programs run beside this one


def test_cuts_are_found(tmp_path: Path) -> None:
    bunny, shapes = sample_frames("bunny.mp4", 10), sample_frames("synthetic.mp4", 9)
    clip = write_video(tmp_path / "in.mp4", [*bunny, *shapes, *bunny])
    assert plan(clip, tmp_path / "out.mp4", FAST).shots == (0, 10, 19)


def test_a_part_and_other_options(clip: Path, tmp_path: Path) -> None:
    settings = Settings(preset="fast", start=TimePoint(frame=2), end=TimePoint(frame=7), codec="libvpx-vp9", crf=30)
    foreseen = plan(clip, tmp_path / "out.webm", settings)
    assert foreseen.frames == 5
    assert foreseen.encoder.startswith("libvpx-vp9 (crf 30,")
    assert any("aac" in note for note in foreseen.notes)  # sound must be encoded anew for WebM


def test_the_decoder_is_the_runs(clip: Path, tmp_path: Path) -> None:
    foreseen = plan(clip, tmp_path / "out.mp4", replace(FAST, decoder="h264_magic"))
    assert any("decoder h264_magic does not run here" in note for note in foreseen.notes)


def test_what_is_dropped_is_foreseen(tmp_path: Path) -> None:
    clip = make(tmp_path / "in.mkv", audio=["aac"], attachment=b"font", chapters=[(0, 200, "one")])
    foreseen = plan(clip, tmp_path / "out.mp4", FAST)
    report = deflicker(clip, tmp_path / "out.mp4", FAST)
    assert report.dropped
    assert [s for s in foreseen.streams if s.startswith("dropped")] == [f"dropped: {what}" for what in report.dropped]
    assert "1 chapters: copied" in foreseen.streams


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm", "out.gif", "out.avi", "out.ts"])
def test_every_container(clip: Path, tmp_path: Path, name: str) -> None:
    before = listing(tmp_path)
    assert plan(clip, tmp_path / name, FAST).frames == 12
    assert listing(tmp_path) == before


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_videos(tmp_path: Path, frames: int) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=frames)
    foreseen = plan(clip, tmp_path / "out.mp4", FAST)
    assert (foreseen.frames, foreseen.shots) == (frames, (0,))


def test_strength_0_is_said(clip: Path, tmp_path: Path) -> None:
    foreseen = plan(clip, tmp_path / "out.mp4", Settings(strength=0), models=NoModels())  # type: ignore[arg-type]
    assert any("strength 0" in note for note in foreseen.notes)


def test_nothing_is_fetched(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DEFLICKER_CACHE", str(tmp_path / "cache"))
    caplog.set_level("INFO", "deflicker")
    foreseen = plan(clip, tmp_path / "out.mp4", FAST)
    assert any("are downloaded first" in note for note in foreseen.notes)
    assert foreseen.seconds > 0
    assert not (tmp_path / "cache").exists()
    assert "fetching" not in caplog.text
    with pytest.raises(WeightsError):
        plan(clip, tmp_path / "out.mp4", Settings(preset="fast", offline=True))


def test_mistakes_are_those_of_a_run(clip: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "there.mp4", drifting(2))
    wrong: list[tuple[Any, str, str, dict[str, Any]]] = [
        (InputError, "nowhere.mp4", "out.mp4", {}),
        (OutputError, "in.mp4", "there.mp4", {}),
        (OutputError, "in.mp4", "in.mp4", {"overwrite": True}),
        (OutputError, "in.mp4", "no/out.mp4", {}),
        (SettingsError, "in.mp4", "out.mp4", {"codec": "nonsense"}),
        (SettingsError, "in.mp4", "out.mp4", {"max_memory": 1000}),
        (SettingsError, "in.mp4", "out.mp4", {"start": TimePoint(frame=99)}),
        (WeightsError, "in.mp4", "out.mp4", {"weights": clip}),
    ]
    before = listing(tmp_path)
    for error, source, target, options in wrong:
        with pytest.raises(error):
            plan(tmp_path / source, tmp_path / target, Settings(preset="fast", **options))
    assert listing(tmp_path) == before

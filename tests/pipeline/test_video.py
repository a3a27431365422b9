"""`deflicker()` on real files: what comes out, what is carried over, and what is left when it fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deflicker import InputError, OutputError, Progress, Settings, SettingsError, WeightsError, deflicker
from deflicker.core.values import TimePoint
from deflicker.media.color import as_tensors, normalise, to_rgb
from deflicker.media.probe import probe
from deflicker.pipeline.run_context import Models
from deflicker.report.text import summary
from tests.assets import SAMPLES, drifting, make_sound, make_video, sample_frames, write_video
from tests.awkward import MAKERS
from tests.fakes import NoModels, Still, fault_in
from tests.media.making import frames_of, make, payloads, same_planes, times

FAST = Settings(preset="fast", device="cpu", precision="fp32", encoder_preset="ultrafast")
STILL = Models(flow=Still())
PLAIN = Settings(preset="fast", device="cpu", precision="fp32")

pytestmark = pytest.mark.usefixtures("raft")


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = {thread for thread in threading.enumerate() if thread.name.startswith("deflicker")}
    yield
    assert {thread for thread in threading.enumerate() if thread.name.startswith("deflicker")} == before


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def shaking(path: Path) -> float:
    """Root mean square of the second difference of the frames' mean luma, levels of 255."""
    frames, layout = frames_of(path), probe(path).layout
    means = []
    for frame in frames:
        planes = normalise(as_tensors(frame.planes, layout, "cpu"), layout)  # type: ignore[arg-type]
        means.append(255 * float(to_rgb(planes, layout, (8, 8)).mean()))
    return float(np.sqrt(np.mean(np.diff(means, 2) ** 2)))


# --- What comes out ---------------------------------------------------------------------------------------------------


def test_a_flickering_video_comes_out_steady(clip: Path, tmp_path: Path) -> None:
    target, steps = tmp_path / "out.mp4", []
    report = deflicker(clip, target, FAST, on_progress=steps.append)
    assert (report.source, report.target) == (str(clip), str(target))
    assert (report.frames, report.shots, report.codec) == (12, 1, "libx264")
    assert report.frames_changed >= 10
    assert report.duration_s == pytest.approx(12 / 25, abs=0.05)
    assert report.elapsed_s > 0
    assert report.frames_per_second == pytest.approx(12 / report.elapsed_s)
    assert (report.device, report.dropped) == ("cpu", ())
    assert "as asked" in report.device_reason
    assert any(what.startswith("audio 1: aac") for what in report.copied)
    assert report.flicker_before is not None
    assert report.flicker_after is not None
    assert report.flicker_after.whole < 0.3 * report.flicker_before.whole
    assert shaking(target) < 0.3 * shaking(clip)
    assert report.to_dict()["frames"] == 12
    assert steps[0].stage == "weights"
    assert [step.frames_done for step in steps if step.stage == "frames"] == list(range(1, 13))
    assert steps[-1] == Progress("finish", 12, 12)


def test_times_and_sound_are_the_sources(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    deflicker(str(clip), str(target), FAST)
    assert times(frames_of(target)) == times(frames_of(clip))
    assert payloads(target, "audio") == payloads(clip, "audio") != {}
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4", "out.mp4"]


def test_a_steady_video_is_copied(tmp_path: Path) -> None:
    clip, target = (
        write_video(tmp_path / "in.mp4", sample_frames("bunny_clean.mp4", 24), sound=True),
        tmp_path / "out.mp4",
    )
    report = deflicker(clip, target, PLAIN)
    assert (report.frames, report.frames_changed, report.codec) == (24, 0, "copy")
    assert report.flicker_before == report.flicker_after is not None
    for kind in ("video", "audio"):
        assert payloads(target, kind) == payloads(clip, kind) != {}


def test_a_sample_comes_closer_to_its_clean_twin(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    settings = Settings(preset="fast", end=TimePoint(frame=20), crf=8, encoder_preset="ultrafast")
    report = deflicker(SAMPLES / "synthetic.mp4", target, settings)
    assert report.frames == 20
    assert report.flicker_after is not None
    assert report.flicker_before is not None
    assert report.flicker_after.whole < 0.25 * report.flicker_before.whole
    assert report.flicker_after.local < 0.5 * report.flicker_before.local

    def error(path: Path) -> float:
        pairs = zip(frames_of(path), frames_of(SAMPLES / "synthetic_clean.mp4"), strict=False)
        return float(np.mean([(a.planes[0].astype(float) - b.planes[0]).std() for a, b in pairs]))

    assert error(target) < 0.6 * error(SAMPLES / "synthetic.mp4")


def test_strength_scales_the_correction(clip: Path, tmp_path: Path) -> None:
    left = []
    for strength in (0.0, 0.5, 1.0):
        target = tmp_path / f"{strength}.mp4"
        deflicker(clip, target, Settings(**vars(FAST) | {"strength": strength}))
        left.append(shaking(target) / shaking(clip))
    assert left[0] == pytest.approx(1, abs=0.1)
    assert 0.3 < left[1] < 0.7
    assert left[2] < 0.3


def test_strength_0_needs_no_weights(clip: Path, tmp_path: Path) -> None:
    none: Any = NoModels()
    report = deflicker(clip, tmp_path / "copied.mp4", Settings(strength=0), models=none)
    assert (report.frames, report.frames_changed, report.codec, report.device) == (12, 0, "copy", "none")
    assert payloads(tmp_path / "copied.mp4", "video") == payloads(clip, "video")
    report = deflicker(clip, tmp_path / "ffv1.mkv", Settings(strength=0, codec="ffv1"), models=none)
    assert (report.frames, report.frames_changed, report.codec) == (12, 0, "ffv1")
    for ours, its in zip(frames_of(tmp_path / "ffv1.mkv"), frames_of(clip), strict=True):
        assert same_planes(ours.planes, its.planes)


def test_motion_that_is_no_number_leaves_its_window_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    class Failing(Still):
        def flow(self, first: Any, second: Any) -> Any:
            there, back = super().flow(first, second)
            calls.append(len(there))
            return (there * float("nan") if len(calls) == 1 else there), back

    clip = make_video(tmp_path / "in.mp4", frames=60, width=64, height=48)
    report = deflicker(clip, tmp_path / "out.mkv", replace(PLAIN, codec="ffv1"), models=Models(flow=Failing()))
    assert len(calls) > 1
    assert 0 < report.frames_diverged < report.frames == 60
    assert 0 < report.frames_changed <= 60 - report.frames_diverged
    left = range(report.frames_diverged)
    pairs = list(zip(frames_of(clip), frames_of(tmp_path / "out.mkv"), strict=True))
    assert all(same_planes(a.planes, b.planes) for a, b in pairs[: len(left)])
    assert f"frames 0 to {left[-1]} stay" in caplog.text
    assert f"uncorrected: {len(left)} frames" in "\n".join(summary(report))


def test_a_part_of_a_video(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    settings = Settings(**vars(FAST) | {"start": TimePoint.parse("3f"), "end": TimePoint.parse("0.4")})
    report = deflicker(clip, target, settings)
    assert report.frames == 7
    assert times(frames_of(target)) == times(frames_of(clip))[:7]


def test_a_cut_parts_two_shots(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "in.mp4", [*sample_frames("bunny.mp4", 10), *sample_frames("synthetic.mp4", 9)])
    assert deflicker(clip, tmp_path / "out.mp4", FAST).shots == 2


def test_less_memory_means_shorter_windows(clip: Path, tmp_path: Path) -> None:
    settings = Settings(**vars(FAST) | {"max_memory": 1 << 30})
    assert deflicker(clip, tmp_path / "out.mp4", settings).frames == 12
    with pytest.raises(SettingsError, match="max_memory"):
        deflicker(clip, tmp_path / "other.mp4", Settings(**vars(FAST) | {"max_memory": 1000}))
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4"}


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "width", "height", "name"),
    [
        ("libx264", "yuv420p10le", 96, 64, "out.mp4"),
        ("libx264", "yuv422p", 96, 64, "out.mkv"),
        ("libx264", "yuv444p", 97, 65, "out.mp4"),
        ("ffv1", "yuv420p", 97, 65, "out.mkv"),
        ("ffv1", "gbrp10le", 64, 48, "out.mkv"),
        ("ffv1", "gray", 64, 48, "out.mkv"),
        ("ffv1", "yuv444p12le", 64, 48, "out.mkv"),
        ("libx264", "yuv420p", 16, 16, "out.mp4"),
        ("ffv1", "yuv444p", 2, 2, "out.mkv"),
        ("ffv1", "yuv444p", 200, 4, "out.mkv"),
    ],
)
def test_every_kind_of_picture(tmp_path: Path, codec: str, pix_fmt: str, width: int, height: int, name: str) -> None:
    clip = write_video(tmp_path / "in.mkv", drifting(12, width, height), codec=codec, pix_fmt=pix_fmt)
    target = tmp_path / name
    report = deflicker(clip, target, PLAIN)
    before, after = probe(clip), probe(target)
    assert (after.width, after.height, after.pix_fmt) == (before.width, before.height, before.pix_fmt)
    assert len(frames_of(target)) == report.frames == 12
    assert [round(float(t), 3) for t in times(frames_of(target))] == [
        round(float(t), 3) for t in times(frames_of(clip))
    ]
    assert shaking(target) <= shaking(clip)
    if min(width, height) >= 48:
        assert report.frames_changed >= 10
        assert shaking(target) < 0.4 * shaking(clip)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_videos(tmp_path: Path, frames: int) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=frames)
    report = deflicker(clip, tmp_path / "out.mp4", PLAIN)
    assert (report.frames, report.shots) == (frames, 1)
    assert times(frames_of(tmp_path / "out.mp4")) == times(frames_of(clip))
    if frames < 3:
        assert (report.codec, report.flicker_before) == ("copy", None)


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webm"])
def test_gif(tmp_path: Path, name: str) -> None:
    clip = write_video(tmp_path / "in.gif", drifting(8), codec="gif", pix_fmt="rgb8")
    report = deflicker(clip, tmp_path / name, PLAIN)
    assert report.frames == len(frames_of(tmp_path / name)) == 8
    assert report.frames_changed > 0


# --- When it fails ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["itself", "link", "folder", "existing", "no folder", "extension", "device"])
def test_targets_that_cannot_be(clip: Path, tmp_path: Path, kind: str) -> None:
    """Nothing is loaded before the target is known to be good."""
    (tmp_path / "link.mp4").symlink_to(clip)
    (tmp_path / "there.mp4").write_text("precious")
    (tmp_path / "folder.mp4").mkdir()
    names = {
        "itself": "in.mp4", "link": "link.mp4", "folder": "folder.mp4", "existing": "there.mp4",
        "no folder": "no/out.mp4", "extension": "out.docx", "device": os.devnull,
    }  # fmt: skip
    before = listing(tmp_path)
    overwrite = kind in ("itself", "link", "folder", "device")
    with pytest.raises(OutputError):
        deflicker(clip, tmp_path / names[kind], Settings(overwrite=overwrite), models=NoModels())  # type: ignore[arg-type]
    assert listing(tmp_path) == before


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    make_sound(tmp_path / "sound.m4a")
    before = listing(tmp_path)
    for name in ("nowhere.mp4", "empty.mp4", "text.mp4", "sound.m4a", "."):
        with pytest.raises(InputError):
            deflicker(tmp_path / name, tmp_path / "out.mp4")
    assert listing(tmp_path) == before


def test_without_weights_no_file_is_begun(clip: Path, tmp_path: Path) -> None:
    before, seen = listing(tmp_path), []

    class NoWeights(Models):
        def flow(self, *_: Any) -> Any:
            seen.append(listing(tmp_path))
            raise WeightsError("not available")

    with pytest.raises(WeightsError):
        deflicker(clip, tmp_path / "out.mp4", models=NoWeights())
    assert seen == [before]
    assert listing(tmp_path) == before


@pytest.mark.parametrize("error", [RuntimeError("enough"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["weights", "frames", "finish"])
def test_an_error_of_the_caller_stops_the_run(tmp_path: Path, error: BaseException, stage: str) -> None:
    clip, target = make_video(tmp_path / "in.mp4", frames=20), tmp_path / "out.mp4"
    target.write_text("precious")
    before = listing(tmp_path)

    def on_progress(step: Progress) -> None:
        if step.stage == stage:
            raise error

    with pytest.raises(type(error)):
        deflicker(clip, target, Settings(**vars(FAST) | {"overwrite": True}), on_progress=on_progress)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("after", [0, 5])
def test_an_encoder_that_fails_stops_the_run(tmp_path: Path, after: int) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=40)
    before = listing(tmp_path)
    fault = fault_in("Writer.write", OutputError("the disk is full"), after=after)
    with fault, pytest.raises(OutputError, match="the disk is full"):
        deflicker(clip, tmp_path / "out.mp4", FAST, models=STILL)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("after", [0, 12])
def test_a_decoder_that_fails_stops_the_run(tmp_path: Path, after: int) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=30)
    before = listing(tmp_path)
    with fault_in("planes_of", OSError("lost the disk"), after=after), pytest.raises(OSError, match="lost the disk"):
        deflicker(clip, tmp_path / "out.mp4", FAST, models=STILL)
    assert listing(tmp_path) == before


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """Twenty frames, of which a third is missing."""
    whole = write_video(tmp_path / "whole.mkv", drifting(20), codec="ffv1").read_bytes()
    clip = tmp_path / "in.mkv"
    clip.write_bytes(whole[: len(whole) * 2 // 3])
    return clip


def test_a_truncated_file_gives_what_it_holds_and_says_so(truncated: Path, tmp_path: Path) -> None:
    report = deflicker(truncated, tmp_path / "out.mkv", PLAIN)
    assert 8 < report.frames < 20
    assert len(frames_of(tmp_path / "out.mkv")) == report.frames
    assert any("before its header says" in what for what, _ in report.damage)
    assert report.to_dict()["damage"] == dict(report.damage)
    assert "damaged: the file ends" in "\n".join(summary(report))


def test_strict_refuses_a_damaged_file(truncated: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    with pytest.raises(InputError, match="--strict") as caught:
        deflicker(truncated, tmp_path / "out.mkv", replace(PLAIN, strict=True))
    assert "\n" not in str(caught.value)
    assert listing(tmp_path) == before


def test_strict_takes_a_sound_file(clip: Path, tmp_path: Path) -> None:
    assert deflicker(clip, tmp_path / "out.mp4", replace(PLAIN, strict=True)).damage == ()


def test_a_bound_on_memory_covers_what_headers_claim(tmp_path: Path) -> None:
    """2000 x 2000 pixels; the data behind the header does not matter."""
    path = make(tmp_path / "in.mkv", codec="ffv1")
    data = path.read_bytes().replace(b"\xb0\x81\x40\xba\x81\x30", b"\xb0\x82\x07\xd0\xba\x82\x07\xd0")
    path.write_bytes(data)
    with pytest.raises(InputError, match="larger than --max-memory allows"):
        deflicker(path, tmp_path / "out.mkv", replace(PLAIN, max_memory=1 << 30))


@pytest.mark.parametrize(
    "name", ["one pixel.gif", "one pixel.mkv", "one frame.mp4", "two frames.mp4", "uneven delays.webp"]
)
def test_the_smallest_videos_go_through_the_whole_of_it(tmp_path: Path, name: str) -> None:
    source = MAKERS[name](tmp_path / name)
    target = tmp_path / f"out{source.suffix.replace('webp', 'mkv')}"
    report = deflicker(source, target, PLAIN)
    assert report.frames == len(frames_of(source)) == len(frames_of(target))
    assert times(frames_of(target)) == times(frames_of(source))


@pytest.mark.slow
def test_8k(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", size=(7680, 4320), pts=range(3))
    report = deflicker(source, tmp_path / "out.mp4", replace(FAST, start=TimePoint(frame=0)))
    assert report.frames == 3
    assert (info := probe(tmp_path / "out.mp4")).width == 7680
    assert info.height == 4320

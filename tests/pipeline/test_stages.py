"""A guide video and a reference picture: what they steer, and what is said where they do not fit."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deflicker import InputError, Settings, SettingsError, deflicker, deflicker_frames, plan
from deflicker.core.device import choose
from deflicker.core.memory import BATCH_FRAMES
from deflicker.core.presets import PRESETS
from deflicker.core.values import Span, TimePoint
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.correction.types import FrameRecord
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.source_pictures import picture_of
from deflicker.pipeline.stages import Barrier, Stage, Step, local_corrections, run_stages
from deflicker.report.frame_notes import SkippedRange
from tests.assets import drifting, write_video
from tests.fakes import Still
from tests.media.making import frames_of, same_planes
from tests.pipeline.test_video import shaking

FAST = {"preset": "fast", "device": "cpu", "precision": "fp32"}


def run_still(source: Path, target: Path, settings: Settings, **options: Any) -> Any:
    return deflicker(source, target, settings, models=Models(flow=Still()), **options)


def lossless(path: Path, pictures: list[Any]) -> Path:
    return write_video(path, pictures, codec="ffv1", pix_fmt="yuv444p")


@pytest.fixture
def flickering(tmp_path: Path) -> Path:
    return lossless(tmp_path / "in.mkv", drifting(12))


def levels(path: Path) -> Any:
    """Mean of every frame's planes, `[T, 3]`."""
    return np.array([[float(plane.mean()) for plane in frame.planes] for frame in frames_of(path)])


# --- Guide ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("raft")
def test_a_video_is_its_own_guide(flickering: Path, tmp_path: Path) -> None:
    deflicker(flickering, tmp_path / "alone.mkv", Settings(**FAST))
    deflicker(flickering, tmp_path / "guided.mkv", Settings(**FAST, guide=flickering))
    for alone, guided in zip(frames_of(tmp_path / "alone.mkv"), frames_of(tmp_path / "guided.mkv"), strict=True):
        assert same_planes(alone.planes, guided.planes)


@pytest.mark.usefixtures("raft")
def test_a_guide_of_another_size_and_colour_steers_and_never_mixes_in(flickering: Path, tmp_path: Path) -> None:
    blue = [picture * [0.2, 0.4, 1.0] for picture in drifting(12, 192, 128, flicker=0)]
    guide = write_video(tmp_path / "guide.mp4", blue)
    target = tmp_path / "out.mkv"
    deflicker(flickering, target, Settings(**FAST, guide=guide))
    assert shaking(target) < 0.3 * shaking(flickering)
    # The colour is the video's: no chroma of the guide, whose blue lies 30 levels away.
    assert np.abs(levels(target)[:, 1:] - levels(flickering)[:, 1:]).max() < 2


@pytest.mark.parametrize(("frames", "says"), [(11, "ends after 11 frames"), (13, "continues after the video's 12")])
def test_a_guide_needs_as_many_frames(flickering: Path, tmp_path: Path, frames: int, says: str) -> None:
    guide = lossless(tmp_path / "guide.mkv", drifting(frames, flicker=0))
    with pytest.raises(InputError, match=says) as error:
        run_still(flickering, tmp_path / "out.mkv", Settings(**FAST, guide=guide))
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "guide.mkv"}


def test_a_guide_is_cut_like_the_video(flickering: Path, tmp_path: Path) -> None:
    guide = lossless(tmp_path / "guide.mkv", drifting(12, flicker=0))
    part = {"start": TimePoint(frame=3), "end": TimePoint(frame=10)}
    assert run_still(flickering, tmp_path / "out.mkv", Settings(**FAST, **part, guide=guide)).frames == 7


@pytest.mark.parametrize("run", [deflicker, plan])
def test_a_guide_that_is_no_video(flickering: Path, tmp_path: Path, run: Any) -> None:
    guide = tmp_path / "guide.mp4"
    guide.write_text("no video")
    with pytest.raises(InputError, match=r"guide\.mp4"):
        run(flickering, tmp_path / "out.mkv", Settings(**FAST, guide=guide))
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "guide.mp4"}


def sketched(frames: int) -> tuple[list[Any], list[Any]]:
    """A picture that stands still, and drawings of it that are other in each frame: `[H, W, 3]` in [0, 1]."""
    still = drifting(1, flicker=0)[0]
    random = np.random.default_rng(2)
    strokes = [0.1 * random.standard_normal((32, 48, 1)).repeat(2, 0).repeat(2, 1) for _ in range(frames)]
    return [still] * frames, [np.clip(still + each, 0, 1) for each in strokes]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Drawings and the footage that they are of, as files."""
    folder, (still, drawn) = tmp_path_factory.mktemp("pair"), sketched(16)
    return lossless(folder / "drawn.mkv", drawn), lossless(folder / "still.mkv", still)


def steps(path: Path) -> float:
    """Root mean square of the luma's steps from frame to frame."""
    luma = np.stack([frame.planes[0].astype(float) for frame in frames_of(path)])
    return float(np.sqrt(np.square(np.diff(luma, axis=0)).mean()))


def test_what_is_redrawn_is_held_with_its_source_as_guide(pair: tuple[Path, Path], tmp_path: Path) -> None:
    drawn, still = pair
    report = run_still(drawn, tmp_path / "held.mkv", Settings(**FAST, guide=still))
    assert steps(tmp_path / "held.mkv") < 0.2 * steps(drawn)
    (shot,) = report.texture
    assert (shot.space, shot.first) == ("hold", 0)
    assert "held" in str(shot)
    run_still(drawn, tmp_path / "off.mkv", Settings(**FAST, guide=still, texture="off"))
    assert steps(tmp_path / "off.mkv") > 0.9 * steps(drawn)


def test_every_preset_gives_held_shots_to_no_other_texture_stage(pair: tuple[Path, Path], tmp_path: Path) -> None:
    drawn, still = pair
    held = []
    for preset in ("fast", "balanced"):
        target = tmp_path / f"{preset}.mkv"
        settings = Settings(**FAST | {"preset": preset}, guide=still)
        assert run_still(drawn, target, settings).texture[0].space == "hold"
        held.append(steps(target))
    assert max(held) < 0.2 * steps(drawn)


def test_a_stream_can_have_a_guide(tmp_path: Path) -> None:
    frames = [(picture * 255).astype(np.uint8) for picture in drifting(12)]
    guide = lossless(tmp_path / "guide.mkv", drifting(12, flicker=0))
    assert (
        len(list(deflicker_frames(iter(frames), models=Models(flow=Still()), settings=Settings(**FAST, guide=guide))))
        == 12
    )
    with pytest.raises(InputError, match="ends after 12 frames"):
        list(
            deflicker_frames(
                iter([*frames, frames[0]]), models=Models(flow=Still()), settings=Settings(**FAST, guide=guide)
            )
        )


# --- Reference --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sliding(tmp_path: Path) -> Path:
    """A steady picture whose light and colour slide away."""
    cast = np.array([0.2, 0.1, -0.1])
    still = drifting(1)[0]
    return lossless(tmp_path / "in.mkv", [still * np.exp(cast * number / 19) for number in range(20)])


def spread(path: Path) -> float:
    """How far the frames' mean planes lie from the first frame's, in levels."""
    return float(np.abs(levels(path) - levels(path)[0]).max())


def test_drift_stays_unless_it_is_asked_for(sliding: Path, tmp_path: Path) -> None:
    assert run_still(sliding, tmp_path / "out.mkv", Settings(**FAST)).frames_changed == 0


def test_anchor_takes_the_drift_back_in_part_and_in_full(sliding: Path, tmp_path: Path) -> None:
    left = []
    for anchor in (0.5, 1.0):
        target = tmp_path / f"{anchor}.mkv"
        run_still(sliding, target, Settings(**FAST, anchor=anchor))
        left.append(spread(target) / spread(sliding))
    assert left[0] == pytest.approx(0.5, abs=0.1)
    assert left[1] < 0.15


def test_strength_scales_the_anchor_too(sliding: Path, tmp_path: Path) -> None:
    run_still(sliding, tmp_path / "out.mkv", Settings(**FAST, anchor=1, strength=0.5))
    assert spread(tmp_path / "out.mkv") / spread(sliding) == pytest.approx(0.5, abs=0.1)


def test_a_frame_as_reference(sliding: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    run_still(sliding, target, Settings(**FAST, anchor=1, reference=TimePoint(frame=15)))
    assert np.abs(levels(target) - levels(sliding)[15]).max() < 0.15 * spread(sliding)


def test_an_image_as_reference(sliding: Path, tmp_path: Path) -> None:
    from PIL import Image

    image = tmp_path / "look.png"
    Image.fromarray((drifting(1)[0] * np.exp([-0.1, 0, 0.1]) * 255).round().astype(np.uint8)).save(image)
    target = tmp_path / "out.mkv"
    settings = Settings(**FAST, anchor=1, reference=image)
    run_still(sliding, target, settings)
    wanted = levels(lossless(tmp_path / "look.mkv", [drifting(1)[0] * np.exp([-0.1, 0, 0.1])] * 2))[0]
    assert np.abs(levels(target) - wanted).max() < 0.15 * np.abs(levels(sliding) - wanted).max()


@pytest.mark.parametrize("reference", [TimePoint(frame=99), Path("nowhere.png")])
def test_a_reference_that_is_not_there(sliding: Path, tmp_path: Path, reference: Any) -> None:
    with pytest.raises((InputError, SettingsError)) as error:
        run_still(sliding, tmp_path / "out.mkv", Settings(**FAST, anchor=1, reference=reference))
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_a_stream_has_no_frame_to_look_up() -> None:
    frames = [(picture * 255).astype(np.uint8) for picture in drifting(3)]
    with pytest.raises(SettingsError, match="give an image"):
        list(deflicker_frames(iter(frames), settings=Settings(**FAST, anchor=1, reference=TimePoint(frame=1))))


# --- What is kept as it is --------------------------------------------------------------------------------------------


def standing(frames: int, *, flicker: float = 0.06) -> list[Any]:
    """A still picture whose brightness jumps."""
    pulse = np.exp(flicker * np.random.default_rng(0).standard_normal(frames))
    return [np.clip(drifting(1, flicker=0)[0] * gain, 0, 1) for gain in pulse]


def changed(source: Path, target: Path) -> list[int]:
    """The frames whose samples differ."""
    pairs = zip(frames_of(source), frames_of(target), strict=True)
    return [number for number, (a, b) in enumerate(pairs) if not same_planes(a.planes, b.planes)]


def test_excluded_frames_are_bit_identical_and_the_rest_is_corrected(tmp_path: Path) -> None:
    source, target = lossless(tmp_path / "in.mkv", standing(52)), tmp_path / "out.mkv"
    spans = (Span.parse("5f-7f"), Span.parse("0.8-1.2"))  # the second, of ten frames, parts the shot
    report = run_still(source, target, Settings(**FAST, exclude=spans))
    excluded = {5, 6, *range(20, 30)}
    assert not excluded & set(changed(source, target))
    assert len(changed(source, target)) >= 34
    assert report.skipped == (SkippedRange(5, 6, "excluded"), SkippedRange(20, 29, "excluded"))
    assert report.shots == 2
    assert "no frame lies" not in "".join(report.notes)
    steady = levels(target)[[n for n in range(20) if n not in excluded], 0]
    assert steady.std() < 0.3 * levels(source)[[n for n in range(20) if n not in excluded], 0].std()


def test_what_excluded_frames_show_does_not_touch_the_others(tmp_path: Path) -> None:
    plain = standing(30)
    lit = [np.ones_like(picture) if 10 <= n < 13 else picture for n, picture in enumerate(plain)]
    results = []
    for name, pictures in (("plain", plain), ("lit", lit)):
        source = lossless(tmp_path / f"{name}.mkv", pictures)
        run_still(source, tmp_path / f"{name}_out.mkv", Settings(**FAST, exclude=(Span.parse("10f-13f"),)))
        results.append(frames_of(tmp_path / f"{name}_out.mkv"))
    others = [n for n in range(30) if not 10 <= n < 13]
    assert all(same_planes(results[0][n].planes, results[1][n].planes) for n in others)


def test_all_excluded_is_a_copy(tmp_path: Path) -> None:
    source = lossless(tmp_path / "in.mkv", standing(20))
    report = run_still(source, tmp_path / "out.mkv", Settings(**FAST, exclude=(Span.parse("0-99"),)))
    assert (report.codec, report.shots, report.skipped) == ("copy", 0, (SkippedRange(0, 19, "excluded"),))


def test_what_is_excluded_and_not_there_is_said(flickering: Path, tmp_path: Path) -> None:
    report = run_still(flickering, tmp_path / "out.mkv", Settings(**FAST, exclude=(Span.parse("1:30-1:35"),)))
    assert report.skipped == ()
    assert "no frame lies in 90s-95s, which --exclude names" in report.notes


def test_flashes_are_kept_where_asked_for(tmp_path: Path) -> None:
    pictures = standing(40)
    flashes = {12: 1.9, 13: 1.6, 25: 2.0}
    lit = [np.clip(picture * flashes.get(n, 1), 0, 1) for n, picture in enumerate(pictures)]
    source, weaker, kept = lossless(tmp_path / "in.mkv", lit), tmp_path / "weaker.mkv", tmp_path / "kept.mkv"
    assert run_still(source, weaker, Settings(**FAST)).skipped == ()
    report = run_still(source, kept, Settings(**FAST, keep_flashes=True))
    assert report.skipped == (SkippedRange(12, 13, "flash"), SkippedRange(25, 25, "flash"))
    assert set(flashes) & set(changed(source, weaker))
    assert not set(flashes) & set(changed(source, kept))
    others = [n for n in range(40) if n not in flashes]
    assert levels(kept)[others, 0].std() < 0.3 * levels(source)[others, 0].std()


@pytest.mark.parametrize("kind", ["codes", "tensors"])
def test_a_stream_can_be_kept_in_part(kind: str) -> None:
    frames: list[Any] = [(picture * 255).astype(np.uint8) for picture in standing(30)]
    frames[20] = np.minimum(frames[20].astype(int) * 2, 255).astype(np.uint8)
    if kind == "tensors":
        frames = [torch.from_numpy(frame).permute(2, 0, 1) / 255 for frame in frames]
    settings = Settings(**FAST, exclude=(Span.parse("4f-6f"), Span.parse("0.5-0.7")), keep_flashes=True)
    found = list(deflicker_frames(iter(frames), models=Models(flow=Still()), fps=20, settings=settings))
    same = [n for n, (a, b) in enumerate(zip(frames, found, strict=True)) if a is b]
    assert {4, 5, 10, 11, 12, 13, 20} <= set(same)
    assert len(same) < 15


@pytest.mark.usefixtures("raft")
def test_texture_and_report_leave_alone_what_is_kept(tmp_path: Path) -> None:
    """With the real network, texture and every metric of the report that needs no further weights."""
    grain = np.random.default_rng(1).normal(0, 0.03, (16, 64, 96, 1))
    lit = [np.clip(picture + grain[n], 0, 1) for n, picture in enumerate(standing(16))]
    source, target = lossless(tmp_path / "in.mkv", lit), tmp_path / "out.mkv"
    settings = Settings(preset="balanced", device="cpu", precision="fp32", exclude=(Span.parse("10f-12f"),))
    report = deflicker(source, target, settings, measure=True, lpips=False)
    assert set(changed(source, target)) == set(range(16)) - {10, 11}
    assert report.measures is not None
    assert report.measures.verdict.judgement


# --- Side by side -----------------------------------------------------------------------------------------------------


def decided(threads: bool, pictures: Any, flow: Any, reach: int) -> Any:
    preset = replace(PRESETS["balanced"], history_frames=4, core_frames=4, lookahead_frames=4, texture_reach=reach)
    size = VideoSize(*pictures[0].shape[-2:], pictures[0].nbytes)
    run = Run(Settings(device="cpu"), size, choose("cpu", "fp32"), preset, flow, solve, ToneOptions.of(preset))
    shown = (picture_of(value, number, excluded=False) for number, value in enumerate(pictures))
    return local_corrections(shown, run, threads=threads)


def proxies(frames: int) -> Any:
    still = torch.from_numpy(drifting(1)[0]).permute(2, 0, 1).float()
    return list(still * (0.8 + 0.2 * torch.rand(frames, 1, 1, 1, generator=torch.Generator().manual_seed(3))))


@pytest.mark.parametrize("reach", [2, pytest.param(0, marks=pytest.mark.slow)])
def test_stages_on_threads_of_their_own_decide_the_same(reach: int) -> None:
    pictures = proxies(24)
    alone, beside = (list(decided(threads, pictures, Still(), reach)) for threads in (False, True))
    assert [frame.picture.index for frame in beside] == [frame.picture.index for frame in alone] == list(range(24))
    assert sum(frame.correction is not None for frame in alone) > 4
    for one, other in zip(alone, beside, strict=True):
        assert (one.correction is None) == (other.correction is None)
        if one.correction and other.correction:
            assert torch.equal(one.correction.applied(pictures[0]), other.correction.applied(pictures[0]))


class Late:
    """A stage that hands each frame out when two more have come in."""

    def __init__(self) -> None:
        self.waiting: list[FrameRecord] = []

    def push(self, record: FrameRecord) -> list[FrameRecord]:
        self.waiting.append(record)
        return [self.waiting.pop(0)] if len(self.waiting) > 2 else []

    def finish(self) -> list[FrameRecord]:
        return self.waiting

    def state_dict(self) -> dict[str, object]:
        return {"waiting": [number(each) for each in self.waiting]}

    def load_state_dict(self, state: Any) -> None:
        raise NotImplementedError


class Every:
    """Sends a barrier before every batch, and notes what the stages remember there."""

    def __init__(self) -> None:
        self.frames_in: list[int] = []
        self.states: dict[tuple[Barrier, str], Any] = {}

    def next_barrier(self, frames_in: int) -> Barrier:
        self.frames_in.append(frames_in)
        return Barrier(frames_in)

    def save_stage(self, barrier: Barrier, name: str, stage: Stage) -> None:
        self.states[barrier, name] = stage.state_dict()["waiting"]


def number(record: FrameRecord) -> int:
    return int(record.proxy[0, 0, 0])


@pytest.mark.parametrize("threads", [False, True])
def test_a_barrier_lies_between_the_same_frames_everywhere(threads: bool) -> None:
    listener, count = Every(), 3 * BATCH_FRAMES + 2
    frames = [FrameRecord(proxy=torch.full((3, 1, 1), float(n))) for n in range(count)]
    steps = [Step("one", Late(), 2), Step("two", Late(), 2)]
    out = list(run_stages(frames, steps, torch.device("cpu"), threads=threads, listener=listener))
    assert [number(each) for each in out if isinstance(each, FrameRecord)] == list(range(count))
    barriers = [each for each in out if isinstance(each, Barrier)]
    assert [each.number for each in barriers] == listener.frames_in == [n * BATCH_FRAMES for n in range(4)]
    for barrier in barriers:
        done = [number(each) for each in out[: out.index(barrier)] if isinstance(each, FrameRecord)]
        held = [*listener.states[barrier, "two"], *listener.states[barrier, "one"]]
        assert [*done, *held] == list(range(barrier.number))


class Broken(Still):
    """Fails at the second batch."""

    calls = 0

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("no flow today")
        return super().features(frames)


def stages() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "deflicker-prefetch"]


def test_what_fails_on_a_thread_comes_up_in_the_callers_and_no_thread_stays() -> None:
    before = stages()
    with pytest.raises(RuntimeError, match="no flow today"):
        list(decided(True, proxies(24), Broken(), 2))
    early = decided(True, proxies(24), Still(), 2)
    assert next(early).picture.index == 0
    early.close()
    assert stages() == before

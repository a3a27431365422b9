"""A run that is measured: its numbers are those of the frames that went out, and a missing one stops nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from deflicker import Report, Settings, deflicker
from deflicker.pipeline.run_context import Models
from deflicker.report.terms import GUARDS, METRICS
from tests.assets import drifting, make_video, write_video
from tests.fakes import Still

FAST = Settings(preset="fast", overwrite=True)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, raft: None) -> Report:
    folder = tmp_path_factory.mktemp("measured")
    return deflicker(make_video(folder / "in.mp4"), folder / "out.mp4", FAST, measure=True, lpips=False)


def test_every_number_is_there(measured: Report) -> None:
    found = measured.measures
    assert found is not None
    assert {metric.name for metric in found.metrics} == METRICS.keys()
    assert {guard.name for guard in found.guards} == GUARDS.keys()
    missing = {metric.name: metric.reason for metric in found.metrics if metric.before is None}
    assert missing.keys() == {"seam_period", "tcs", "tcs_moved", "drift_slope"}
    assert missing["tcs"] == "LPIPS was not asked for"
    assert found.course.frames == tuple(range(12))
    assert found.shots == (0,)


def test_flicker_is_what_the_engine_says_of_itself(measured: Report) -> None:
    """Before, to the last digit; after, but for rounding to samples and what is done to clipped ones."""
    found = measured.measures
    assert found is not None
    assert measured.flicker_before is not None
    assert measured.flicker_after is not None
    for name, before, after in (
        ("flicker_whole_y", measured.flicker_before.whole, measured.flicker_after.whole),
        ("flicker_local_y", measured.flicker_before.local, measured.flicker_after.local),
    ):
        assert found.metric(name).before == pytest.approx(before, rel=1e-4)
        assert found.metric(name).after == pytest.approx(after, abs=0.15)


def test_it_is_an_improvement_and_says_so(measured: Report) -> None:
    found = measured.measures
    assert found is not None
    assert found.verdict.judgement == "improved"
    assert measured.gallery is not None
    assert measured.gallery.heat is not None
    assert measured.gallery.frame_after is not None
    assert measured.gallery.slice_frames == 12


def test_a_plain_run_measures_nothing_and_does_the_same(measured: Report, clip: Path, tmp_path: Path) -> None:
    plain = deflicker(clip, tmp_path / "plain.mp4", FAST)
    assert plain.measures is plain.gallery is None
    assert (plain.frames_changed, plain.codec, plain.copied) == (
        measured.frames_changed,
        measured.codec,
        measured.copied,
    )


def test_clean_is_unchanged(tmp_path: Path, raft: None) -> None:
    source = make_video(tmp_path / "in.mp4", flicker=0)
    found = deflicker(source, tmp_path / "out.mp4", FAST, measure=True, lpips=False).measures
    assert found is not None
    assert found.verdict.judgement == "unchanged"
    assert all(guard.holds for guard in found.guards)
    assert {guard.name: guard.value for guard in found.guards}["changed"] == 0
    assert found.metric("flicker_whole_y").before == found.metric("flicker_whole_y").after


def test_missing_weights_are_a_reason_and_no_failure(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFLICKER_CACHE", str(tmp_path / "cache"))
    settings, models = replace(FAST, offline=True), Models(flow=Still())
    found = deflicker(clip, tmp_path / "out.mp4", settings, measure=True, models=models).measures
    assert found is not None
    assert "no weights for lpips_alex" in found.metric("tcs").reason
    assert "no weights" in next(guard.reason for guard in found.guards if guard.name == "lpips")
    assert found.metric("flicker_whole_y").after is not None


def test_strength_0_measures_nothing(clip: Path, tmp_path: Path) -> None:
    assert deflicker(clip, tmp_path / "out.mp4", Settings(strength=0), measure=True).measures is None


def test_rgb_and_repeated_frames(tmp_path: Path, raft: None) -> None:
    frames = [frame for frame in drifting(8) for _ in range(2)]
    source = write_video(tmp_path / "in.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    found = deflicker(source, tmp_path / "out.mkv", FAST, measure=True, lpips=False).measures
    assert found is not None
    assert found.course.frames == tuple(range(0, 16, 2))
    assert found.verdict.judgement == "improved"

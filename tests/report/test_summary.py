"""From the frames' series to the report's numbers, by hand."""

import math

import pytest
import torch

from deflicker.metrics.drift import LAGS
from deflicker.metrics.meter import FrameSeries
from deflicker.metrics.per_frame import FIELDS
from deflicker.report.summary import build_results

NAN = float("nan")


def frame_series(frames=8, *, sides=2, shot_starts=(0,), duplicates=0, **series):
    """Everything 1, but for what is given; frames are numbered in twos."""
    names = (*FIELDS, "ewarp_l1_first", "lpips_next", "lpips_moved")
    table = {name: torch.ones(sides, frames) for name in names}
    table |= {f"step_{channel}": torch.zeros(sides, frames) for channel in ("y", "cb", "cr")}
    shared = {name: torch.zeros(frames) for name in ("exposure", "lpips_input", "top_motion", "motion")}
    for name, values in series.items():
        (shared if name in shared else table)[name] = torch.tensor(values, dtype=torch.float32)
    drift = torch.tensor([[0.1 * lag for lag in LAGS]] * sides)
    numbers = tuple(range(0, 2 * frames, 2))
    return FrameSeries(
        numbers, shot_starts, duplicates, table, shared, torch.full((sides,), 7.0), torch.tensor(LAGS), drift
    )


def summed(found, guards=None, **options):
    guards = {"changed": 50.0, "psnr": 30.0} if guards is None else guards
    return build_results(found, guards, shorter_side_px=144, **({"no_lpips": ""} | options))


def test_indices():
    """√((9 + 16) / 2); √(Σ sums / Σ weights)."""
    whole, local, weight = [[NAN, 3, -4, NAN], [NAN, 1, 1, NAN]], [[NAN, 8, 8, NAN]] * 2, [[NAN, 1, 3, NAN]] * 2
    found = summed(frame_series(4, whole_y=whole, local_y=local, weight=weight))
    assert found.metric("flicker_whole_y").before == pytest.approx(math.sqrt(12.5))
    assert found.metric("flicker_whole_y").after == pytest.approx(1)
    assert found.metric("flicker_local_y").before == pytest.approx(2)


def test_the_others():
    mse, lpips, across = [[0.002, NAN] * 4] * 2, [[0.1, 0.3] * 4] * 2, [[4.0] * 8] * 2
    found = summed(frame_series(ewarp_mse=mse, lpips_next=lpips, boil_across=across))
    expected = {"ewarp_mse": 2, "tcs": 0.8, "boil": 0.25, "drift_slope": 10, "variance_pixel": 7, "ewarp_l1": 1}
    assert {name: found.metric(name).before for name in expected} == pytest.approx(expected)


def test_vbench_counts_repeated_frames():
    """Changes of 25.5 in 7 pairs, and 7 pairs without any."""
    found = summed(frame_series(change=[[25.5] * 7 + [NAN]] * 2, duplicates=7))
    assert found.metric("vbench_flickering").before == pytest.approx(0.95)


def test_seams_of_each_shot_by_frame_number():
    """Two shots of eight: the first has a seam at its fifth picture, the cut itself is none."""
    steps = [0.0] * 16
    steps[4], steps[7] = 6.0, 90.0
    found = summed(frame_series(16, shot_starts=(0, 8), step_y=[steps, [0.0] * 16]))
    assert found.shots == (0, 16)
    assert found.seams_before == (10,)
    assert found.seams_after == ()
    assert (found.metric("seams").before, found.metric("seams").after) == (1, 0)


def test_guards_of_both_kinds():
    found = summed(frame_series(exposure=[0.0, 0.5, NAN, 0.25] * 2, lpips_input=[0.1, 0.2] * 4))
    values = {guard.name: guard.value for guard in found.guards}
    assert values["exposure"] == 0.5
    assert values["lpips"] == pytest.approx(0.15)
    assert values["psnr"] == 30
    assert values["ssim"] is None


def test_one_video_and_no_lpips():
    found = summed(frame_series(sides=1, lpips_next=[[NAN] * 8]), {}, no_lpips="no weights")
    assert found.guards == found.seams_after == found.course.flicker_after == found.drift.after == ()
    assert found.metric("tcs").reason == "no weights"
    assert found.verdict.judgement == "flickers"


def test_no_frames():
    found = summed(frame_series(0, shot_starts=()))
    assert found.metric("flicker_whole_y").before is None
    assert found.metric("flicker_whole_y").reason == "too few frames"


@pytest.mark.parametrize(("motion", "words"), [(0.1, 0), (50.0, 1)])
def test_vbench_is_for_static_videos(motion, words):
    notes = summed(frame_series(top_motion=[motion] * 8)).notes
    assert sum("static" in note for note in notes) == words

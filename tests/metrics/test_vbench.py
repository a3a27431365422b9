"""VBench's scores, by hand, with what they see and what they do not."""

import math

import pytest
import torch

from deflicker.metrics import vbench
from tests.correction.scenes import pan, still

NAN = float("nan")


def test_temporal_flickering_by_hand():
    """A step of 0.1 in every colour is 25.5 levels: (255 − 25.5) / 255."""
    frames = torch.full((2, 3, 8, 8), 0.4)
    frames[1] += 0.1
    assert vbench.change(frames[:1], frames[1:]).item() == pytest.approx(25.5)
    assert vbench.temporal_flickering(torch.tensor([25.5, NAN, 0])).item() == pytest.approx(0.95)


def test_a_frozen_video_scores_best_and_motion_counts():
    frozen, moving = still(6), pan(6)
    assert vbench.temporal_flickering(vbench.change(frozen[:-1], frozen[1:])).item() == 1
    assert vbench.temporal_flickering(vbench.change(moving[:-1], moving[1:])).item() < 0.995


def test_fastest_motion_by_hand():
    """2 % of 100 pixels are two: 3 and 5 px."""
    flow = torch.zeros(1, 2, 10, 10)
    flow[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    flow[0, 0, 5, 5] = 3
    assert vbench.top_motion(flow).item() == pytest.approx(4)


@pytest.mark.parametrize(("moving", "static"), [(0, True), (2, True), (3, False), (16, False)])
def test_static_videos(moving, static):
    """Of 16 frames two may move, by more than 3 px of 256."""
    motions = torch.tensor([3.1] * moving + [2.9] * (16 - moving))
    assert vbench.is_static(motions, 256) is static
    assert vbench.is_static(torch.full((4,), NAN), 256)


def test_interpolation_by_hand():
    """0.2 and 0.6 predict 0.4; where the later one is hidden, 0.2; where both are, nothing is said."""
    earlier, here, later = (torch.full((1, 3, 1, 3), value) for value in (0.2, 0.5, 0.6))
    seen = torch.ones(1, 1, 1, 3)
    before, after = seen.clone(), seen.clone()
    after[..., 1:] = 0
    before[..., 2] = 0
    assert vbench.interpolation_error(earlier, here, later, seen, seen).item() == pytest.approx(0.1)
    assert vbench.interpolation_error(earlier, here, later, before, after).item() == pytest.approx((0.1 + 0.3) / 2)
    assert vbench.motion_smoothness(torch.tensor([0.1, 0.3, NAN])).item() == pytest.approx(0.8)
    assert math.isnan(vbench.motion_smoothness(torch.tensor([NAN])).item())


def test_steady_change_is_smooth_and_a_pump_is_not():
    seen = torch.ones(1, 1, 4, 4)
    dark, middle, bright = (torch.full((1, 3, 4, 4), value) for value in (0.3, 0.4, 0.5))
    assert vbench.interpolation_error(dark, middle, bright, seen, seen).item() == pytest.approx(0, abs=1e-6)
    assert vbench.interpolation_error(dark, bright, dark, seen, seen).item() == pytest.approx(0.2)

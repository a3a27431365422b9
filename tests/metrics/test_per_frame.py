"""A window's numbers: pure motion moves none of them, flicker moves those that are there for it."""

import pytest
import torch

from deflicker.metrics.per_frame import FIELDS, measure_window
from tests.correction.scenes import global_noise, local_noise, matches, pan

STEP = (2, 1)
TIME = ("whole_y", "whole_cb", "whole_cr", "local_y", "local_cb", "local_cr", "step_y", "ewarp_mse", "ewarp_l1")
STILL = (*TIME, "trajectory", "boil_along", "interpolation")


def measured(*sides, step=STEP):
    frames = torch.stack(sides)
    rows = measure_window(frames, matches(frames[0], step, (1, 2)), 0, frames.shape[1])
    return [dict(zip(FIELDS, side.unbind(1), strict=True)) for side in rows]


@pytest.mark.parametrize("step", [(0, 0), (2, 1), (-3, 2)])
def test_pure_motion_moves_nothing(step):
    (found,) = measured(pan(8, 64, 96, step=step), step=step)
    for name in STILL:
        assert found[name].nan_to_num(0).abs().max() < 1e-4, name


@pytest.mark.parametrize(
    ("flicker", "rises"),
    [
        (
            global_noise(8, 0.05),
            {"whole_y", "local_y", "step_y", "ewarp_mse", "ewarp_l1", "trajectory", "interpolation"},
        ),
        (local_noise(8, 64, 96, 0.05), {"local_y", "ewarp_mse", "ewarp_l1", "trajectory", "interpolation"}),
        (global_noise(8, 0.05) * torch.tensor([1.0, 0, -1]).view(3, 1, 1), {"local_cb", "local_cr", "whole_cr"}),
    ],
    ids=["whole", "regions", "colour"],
)
def test_flicker_moves_what_is_there_for_it(flicker, rises):
    clean = pan(8, 64, 96, step=STEP)
    before, after = measured((clean * flicker.exp()).clamp(0, 1), clean)
    for name in rises:
        assert before[name].nan_to_num(0).abs().sum() > 100 * after[name].nan_to_num(0).abs().sum() + 1e-4, name


def test_boil_is_seen_and_tone_is_not():
    clean = pan(8, 64, 96, step=STEP)
    noise = 0.03 * torch.randn(8, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    boil, pump = measured((clean + noise).clamp(0, 1), clean * global_noise(8, 0.02).exp())
    share = [float(found["boil_along"].nansum() / found["boil_across"].nansum()) for found in (boil, pump)]
    assert share[0] > 0.5
    assert share[1] < 0.02


def test_a_fade_is_no_flicker_but_an_error_of_warping():
    fade = torch.linspace(1, 0.5, 8).view(-1, 1, 1, 1)
    (found,) = measured(pan(8, 64, 96, step=STEP) * fade)
    assert found["whole_y"].nan_to_num(0).abs().max() < 0.02
    assert found["ewarp_l1"].nanmean() > 0.01


def test_what_has_no_neighbour_has_no_number():
    (found,) = measured(pan(8, 64, 96, step=STEP))
    assert found["whole_y"].isnan().nonzero().flatten().tolist() == [0, 7]
    assert found["ewarp_mse"].isnan().nonzero().flatten().tolist() == [7]
    assert found["trajectory"].isnan().nonzero().flatten().tolist() == [0, 1, 6, 7]


def test_sides_do_not_touch_each_other():
    clean = pan(6, 64, 96, step=STEP)
    flickering = clean * global_noise(6, 0.05).exp()
    alone, beside = measured(clean)[0], measured(flickering, clean)[1]
    for name in FIELDS:
        assert torch.equal(alone[name].nan_to_num(-1), beside[name].nan_to_num(-1)), name

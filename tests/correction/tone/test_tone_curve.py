"""Curves of the whole picture that flicker come to rest; nothing else is touched."""

import math

import pytest
import torch

from deflicker.correction.curve import KNOTS, apply_curve
from deflicker.correction.tone.losses import local_means
from deflicker.correction.tone.tone_curve import solve_curve
from deflicker.correction.tone.tone_options import CurveOptions
from deflicker.motion.correspondence import build_matches
from tests.correction.scenes import global_noise, local_noise, matches, pan, rng, shaking, still

FRAMES, HEIGHT, WIDTH = 16, 64, 96
TIME = torch.arange(FRAMES).float().view(-1, 1, 1, 1)
SHIFTS = pytest.mark.parametrize("shift", [(0, 0), (2, 1)])


def clean(shift: tuple[int, int] = (0, 0)) -> torch.Tensor:
    return pan(FRAMES, HEIGHT, WIDTH, step=shift)


def pumped(frames: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Gamma and lift of the blacks, new in each frame."""
    power, lift = global_noise(FRAMES, 0.14, seed).exp(), global_noise(FRAMES, 0.015, seed + 9)
    return (frames**power + lift * (1 - frames)).clamp(0, 1)


def solved(frames: torch.Tensor, shift: tuple[float, float] = (0, 0), **options: object) -> torch.Tensor:
    return solve_curve(frames, matches(frames, shift), **options)[0]


def at_rest(frames: torch.Tensor, truth: torch.Tensor) -> float:
    """Shaking of the pixels' error, which does not count what is constant."""
    return shaking(frames - truth)


@SHIFTS
@pytest.mark.parametrize("seed", [1, 2])
def test_a_curve_that_pumps_comes_to_rest(shift, seed):
    truth = clean(shift)
    flickering = pumped(truth, seed)
    result = apply_curve(flickering, solved(flickering, shift))
    assert at_rest(result, truth) < at_rest(flickering, truth) / 6


@SHIFTS
def test_a_plain_gain_is_left_to_the_cells_where_motion_is_known(shift):
    flickering = clean(shift) * global_noise(FRAMES, 0.1).exp()
    assert torch.equal(solved(flickering, shift), torch.zeros(FRAMES, 3, KNOTS))


def test_a_gain_is_a_curve_where_motion_is_not_known():
    """Every frame shows another part of a texture: matches are wrong, levels are alike."""
    random = rng(5)
    shifts = torch.randint(0, 90, (FRAMES, 2), generator=random).tolist()
    truth = torch.stack([still(1, HEIGHT, WIDTH)[0].roll((dy, dx), (1, 2)) for dy, dx in shifts])
    truth = truth + 0.03 * torch.randn(FRAMES, 3, 8, 8, generator=random).repeat_interleave(8, 2).repeat_interleave(
        12, 3
    )
    flickering = truth * global_noise(FRAMES, 0.1).exp()
    result = apply_curve(flickering, solved(flickering))
    assert shaking(result.mean((2, 3))) < shaking(flickering.mean((2, 3))) / 2


INNOCENT = {
    "still": clean(),
    "pan": clean((2, 1)),
    "fade": clean() * (-0.05 * TIME).exp(),
    "contrast that rises": clean() ** (1 + 0.03 * TIME),
    "exposure ramp": clean() * (0.1 * (TIME - 6).clamp(0, 4) - 0.4).exp(),
    "slow swell": clean() * (0.2 * torch.sin(TIME * 2 * math.pi / 24)).exp(),
    "black": torch.zeros(FRAMES, 3, HEIGHT, WIDTH),
    "white": torch.ones(FRAMES, 3, HEIGHT, WIDTH),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_zero_where_no_curve_flickers(name):
    shift = (2, 1) if name == "pan" else (0, 0)
    assert torch.equal(solved(INNOCENT[name], shift), torch.zeros(FRAMES, 3, KNOTS))


def test_what_pumps_in_one_half_only_is_the_cells_business():
    mask = (torch.arange(WIDTH) < WIDTH // 2).view(1, 1, 1, -1) & (torch.arange(HEIGHT) < HEIGHT // 2).view(1, 1, -1, 1)
    flickering = clean() * (global_noise(FRAMES, 0.15) * mask).exp()
    assert torch.equal(solved(flickering), torch.zeros(FRAMES, 3, KNOTS))


def test_only_the_channel_that_pumps_is_bent():
    flickering = torch.cat([clean()[:, :2], pumped(clean())[:, 2:]], 1)
    curve = solved(flickering)
    assert curve[:, :2].abs().max() < 2e-3
    assert curve[:, 2].std() > 0.03


@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_steps_that_err_are_not_summed_up_to_a_drift(seed):
    """The curve's mean over a while is held the harder the more the steps err."""
    flickering = pumped(clean(), seed)
    curves = [solved(flickering, options=CurveOptions(centring_by_noise=noise)) for noise in (0.0, 3e4, 3e6)]
    slow = [float((local_means(FRAMES, 4) @ curve.flatten(1)).square().sum()) for curve in curves]
    assert slow[1] < 0.9 * slow[0]
    assert slow[2] < slow[1]


def test_decided_frames_keep_their_curves():
    flickering = pumped(clean())
    decided = 0.1 * torch.randn(6, 3, KNOTS, generator=rng(0))
    curve = solved(flickering, fixed=decided)
    assert torch.equal(curve[:6], decided)
    assert curve[6:].abs().max() > 0.02


def test_new_frames_join_the_look_of_the_decided_ones():
    flickering = pumped(clean())
    whole = solved(flickering)
    joined = solved(flickering, fixed=whole[:8])
    assert at_rest(apply_curve(flickering, joined), clean()) < at_rest(flickering, clean()) / 6


def test_motion_that_is_unknown_gives_no_curve():
    flickering = pumped(clean())
    wrong_px = torch.full((FRAMES - 1, 2, HEIGHT, WIDTH), 5.0)
    assert torch.equal(
        solve_curve(flickering, build_matches(wrong_px, wrong_px, (1, 2)))[0], torch.zeros(FRAMES, 3, KNOTS)
    )


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_few_frames(frames):
    assert solved(pumped(clean())[:frames]).isfinite().all()


LEFT_OUT = {
    "gate": {"gate": False},
    "trend": {"trend": False},
    "first order": {"first_order": 0.0},
    "second order": {"second_order": 0.0},
    "centring": {"centring": 0.0, "centring_by_noise": 0.0},
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_an_ingredient_left_out_changes_the_answer(name):
    flickering = pumped(clean()) * (-0.04 * TIME).exp()
    less = solved(flickering, options=CurveOptions(**LEFT_OUT[name]))
    assert less.isfinite().all()
    assert not torch.equal(less, solved(flickering))


def test_the_curve_left_out():
    none = solved(pumped(clean()), options=CurveOptions(iterations=()))
    assert torch.equal(none, torch.zeros(FRAMES, 3, KNOTS))


def test_solving_lowers_the_energy():
    frames = pumped(clean())
    _, energy = solve_curve(frames, matches(frames))
    assert 0 < energy.after < energy.before / 3


def test_still_frames_are_not_bent_by_regions():
    """Local flicker alone: the curve may stay, the cells do it."""
    flickering = still(FRAMES, HEIGHT, WIDTH) * local_noise(FRAMES, HEIGHT, WIDTH, 0.1, knots=4).exp()
    curve = solved(flickering)
    assert at_rest(apply_curve(flickering, curve), clean()) < 1.05 * at_rest(flickering, clean())

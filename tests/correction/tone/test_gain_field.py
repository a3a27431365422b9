"""The tone solver on pictures whose flicker is known: it goes, and where there is none nothing changes."""

import pytest
import torch

from deflicker.correction.tone.gain_field import solve_gains
from deflicker.correction.tone.tone_options import GainOptions
from deflicker.motion.correspondence import build_matches
from tests.correction.scenes import cells, global_noise, local_noise, matches, pan, rng, shaking, still

HEIGHT, WIDTH = 64, 96
SCENES = {
    "still": (still(16, HEIGHT, WIDTH), (0, 0)),
    "pan": (pan(16, HEIGHT, WIDTH, step=(2, 1)), (2, 1)),
    "pan the other way": (pan(16, HEIGHT, WIDTH, step=(-3, 2)), (-3, 2)),
}
scenes = pytest.mark.parametrize("scene", SCENES)


def solved(frames: torch.Tensor, step: tuple[float, float] = (0, 0), **options: object) -> torch.Tensor:
    return solve_gains(frames, matches(frames, step), **options)[0]


@scenes
def test_a_clean_clip_is_left_alone(scene):
    clean, step = SCENES[scene]
    assert torch.equal(solved(clean, step), torch.zeros(16, 3, HEIGHT // 8, WIDTH // 8))


@scenes
@pytest.mark.parametrize("sd", [0.03, 0.15])
def test_a_whole_picture_that_pumps_comes_to_rest(scene, sd):
    clean, step = SCENES[scene]
    flicker = global_noise(16, sd)
    left = solved(clean * flicker.exp(), step) + flicker
    assert shaking(left) < shaking(flicker) / 10


@scenes
def test_channels_that_pump_apart_come_to_rest(scene):
    clean, step = SCENES[scene]
    flicker = torch.cat([global_noise(16, 0.08, seed) for seed in (1, 2, 3)], 1)
    left = solved(clean * flicker.exp(), step) + flicker
    assert shaking(left) < shaking(flicker) / 10


@scenes
@pytest.mark.parametrize("sd", [0.05, 0.12])
def test_regions_that_pump_come_to_rest(scene, sd):
    clean, step = SCENES[scene]
    flicker = local_noise(16, HEIGHT, WIDTH, sd)
    left = solved(clean * flicker.exp(), step) + cells(flicker)
    assert shaking(left) < shaking(cells(flicker)) / 3


def test_a_fade_stays_while_flicker_goes():
    fade = torch.linspace(-0.5, 0, 16).view(-1, 1, 1, 1)
    flicker = 0.06 * torch.tensor([1, -1, -1, 1] * 4).view(-1, 1, 1, 1)  # no slope of its own
    left = solved(still(16, HEIGHT, WIDTH) * (fade + flicker).exp()) + flicker
    assert shaking(left) < shaking(flicker) / 3
    course = left.mean((1, 2, 3))
    time = torch.linspace(-0.5, 0.5, 16)
    slope = float((course * time).sum() / time.square().sum())
    assert abs(slope) < 0.5 / 4


def test_a_slow_course_stays_while_exposure_answers_it_in_steps():
    """Light falls by 0.02 a frame, the camera takes 0.1 of it back every six frames: a sixth of the fall is left."""
    time = torch.arange(32).view(-1, 1, 1, 1)
    course = -0.02 / 6 * time
    flicker = -0.1 / 6 * time + 0.1 * ((time + 2) // 6)
    left = solved(still(32, HEIGHT, WIDTH) * (course + flicker).exp()) + flicker
    assert shaking(left) < shaking(flicker) / 3
    kept = (left + course).mean((1, 2, 3)).diff().mean()
    assert kept == pytest.approx(-0.02 / 6, rel=0.3)  # with slopes of 17 frames alone it was levelled


def test_colour_of_the_flicker_is_the_colour_of_the_correction():
    """Only blue pumps: red and green are not its business."""
    flicker = global_noise(16, 0.1) * torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    gain = solved(still(16, HEIGHT, WIDTH) * flicker.exp())
    assert gain[:, :2].abs().max() < 1e-3
    assert gain[:, 2].std() > 0.05


@pytest.mark.parametrize("frames", [1, 2])
def test_too_few_frames_to_judge(frames):
    flickering = still(frames, HEIGHT, WIDTH) * torch.tensor([1.0, 0.8])[:frames].view(-1, 1, 1, 1)
    assert torch.equal(solved(flickering), torch.zeros(frames, 3, HEIGHT // 8, WIDTH // 8))


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_few_frames(frames):
    flicker = 0.08 * (-1.0) ** torch.arange(frames).view(-1, 1, 1, 1)
    left = solved(still(frames, HEIGHT, WIDTH) * flicker.exp()) + flicker
    assert shaking(left) < shaking(flicker) / 3


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (64, 8)])
def test_a_picture_of_one_row_of_cells(size):
    flicker = global_noise(12, 0.1)
    left = solved(still(12, *size) * flicker.exp()) + flicker
    assert shaking(left) < shaking(flicker) / 5


def test_decided_frames_are_never_changed():
    flicker = global_noise(16, 0.1)
    decided = 0.1 * torch.randn(6, 3, HEIGHT // 8, WIDTH // 8, generator=rng(0))
    gain = solved(still(16, HEIGHT, WIDTH) * flicker.exp(), fixed=decided)
    assert torch.equal(gain[:6], decided)
    assert gain[6:].abs().max() > 0.05


def test_new_frames_join_the_level_of_the_decided_ones():
    """The decided frames were brought 0.2 up; those after them must not fall back by it at once."""
    flicker = global_noise(16, 0.1)
    decided = (0.2 - flicker[:8]).expand(8, 3, HEIGHT // 8, WIDTH // 8)
    level = (solved(still(16, HEIGHT, WIDTH) * flicker.exp(), fixed=decided) + flicker).mean((1, 2, 3))
    assert level[8].item() == pytest.approx(0.2, abs=0.03)
    assert shaking(level) < shaking(flicker) / 5


@pytest.mark.parametrize(
    "frames", [torch.zeros(8, 3, 32, 32), torch.ones(8, 3, 32, 32), torch.full((8, 3, 32, 32), 0.5)]
)
def test_pictures_without_anything_in_them(frames):
    assert torch.equal(solved(frames), torch.zeros(8, 3, 4, 4))


def test_black_between_pictures_stays_finite():
    frames = still(8, 32, 32) * torch.tensor([1, 1, 0, 1, 0, 0, 1, 1.0]).view(-1, 1, 1, 1)
    assert solved(frames).isfinite().all()


def test_motion_that_is_unknown_gives_no_correction():
    """Flow there and back that contradict each other: nothing is visible, so nothing is known."""
    frames = still(8, 32, 32) * global_noise(8, 0.2).exp()
    wrong_px = torch.full((7, 2, 32, 32), 5.0)
    assert torch.equal(solve_gains(frames, build_matches(wrong_px, wrong_px, (1, 2)))[0], torch.zeros(8, 3, 4, 4))


LEFT_OUT = {
    "gate": False,
    "trend": False,
    "first_order": 0.0,
    "second_order": 0.0,
    "robust": False,
    "agreement": False,
    "bounds": False,
    "centring": 0.0,
    "noise": 0.0,
    "places": False,
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_an_ingredient_left_out_changes_the_answer(name):
    flicker = local_noise(16, HEIGHT, WIDTH, 0.1) + 0.05 * torch.arange(16).view(-1, 1, 1, 1)
    frames = (1.6 * pan(16, HEIGHT, WIDTH, step=(2, 1)) * (flicker - 0.8).exp()).clamp(0, 1)
    less = solved(frames, (2, 1), options=GainOptions(**{name: LEFT_OUT[name]}))
    assert less.isfinite().all()
    assert not torch.equal(less, solved(frames, (2, 1)))


def test_solving_lowers_the_energy():
    flicker = local_noise(16, HEIGHT, WIDTH, 0.1)
    frames = still(16, HEIGHT, WIDTH)
    assert solve_gains(frames, matches(frames))[1] is None
    _, energy = solve_gains(frames * flicker.exp(), matches(frames))
    assert 0 < energy.after < energy.before / 3

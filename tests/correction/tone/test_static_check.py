"""A correction that does not steady the place it is made in is taken back."""

import math
from dataclasses import replace

import pytest
import torch

from deflicker.core.presets import PRESETS
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.state import Window
from deflicker.correction.tone.static_check import is_global, rollback_gain
from deflicker.correction.tone.tone_options import ToneOptions

FRAMES, HEIGHT, WIDTH = 24, 64, 128
BALANCED = ToneOptions.of(PRESETS["balanced"])


def pump(seed: int = 0) -> torch.Tensor:
    """Log gain of each frame, `[T, 1, 1, 1]`."""
    return 0.1 * torch.randn(FRAMES, 1, 1, 1, generator=torch.Generator().manual_seed(seed))


def still() -> torch.Tensor:
    picture = 0.25 + 0.25 * torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(7))
    return picture.expand(FRAMES, -1, -1, -1)


def left() -> torch.Tensor:
    """1 in the left half, 0 in the right."""
    return (torch.arange(WIDTH) < WIDTH // 2).float().view(1, 1, 1, -1)


def test_what_steadies_its_place_stands():
    assert not rollback_gain(still() * pump().exp(), still()).any()


def test_what_steadies_nothing_is_rolled_back_whole():
    back = rollback_gain(still(), still() * pump().exp())
    light = torch.nn.functional.avg_pool2d(still(), 8)
    change = ((light * pump().exp() + 0.01) / (light + 0.01)).log()
    torch.testing.assert_close(back, -change, atol=1e-5, rtol=0)


def test_each_place_is_asked_by_itself():
    frames = still() * (pump() * left()).exp()
    back = rollback_gain(frames, frames * (-pump()).exp())
    assert not back[..., : WIDTH // 16 - 4].any()
    torch.testing.assert_close(back[..., WIDTH // 16 + 4 :], pump().expand(-1, 3, 8, 4), atol=0.01, rtol=0)


def test_half_of_what_is_needed_is_enough_to_stand():
    strong = still() * pump().exp()
    assert not rollback_gain(strong, strong * (-pump() / 0.6).exp()).any()
    assert rollback_gain(strong, strong * (-pump() / 0.3).exp()).any()


def test_what_needs_more_says_nothing_about_its_surroundings():
    """A quarter of what the left half needs, found for the whole picture, is too much for cells beside it."""
    frames = still() * (pump() * left()).exp()
    kept = 1 + rollback_gain(frames, frames * (-pump() / 4).exp()) / (-pump() / 4)
    assert kept[..., : WIDTH // 16].min() > 0.9
    assert kept[..., WIDTH // 16 + 1].max() < 0.9
    assert kept[..., WIDTH // 16 + 2].max() < 0.5
    assert kept[..., WIDTH // 16 + 3 :].abs().max() < 0.1


def test_motion_does_not_hide_flicker():
    """Stripes that move by a cell a frame change the tone of every place more than flicker does."""
    place = torch.arange(WIDTH).view(1, 1, 1, -1)
    time = torch.arange(FRAMES).view(-1, 1, 1, 1)
    frames = (0.4 + 0.15 * torch.sin((place - 8 * time) * 2 * math.pi / 72)).expand(-1, 3, HEIGHT, -1)
    back = rollback_gain(frames * pump(3).exp(), frames)
    assert back.abs().max() < 0.1 * pump(3).abs().max()


@pytest.mark.parametrize("share", [1.0, 0.5, 2.0])
def test_a_pump_of_the_whole_picture_is_asked_for_everywhere(share: float):
    frames = still() * pump().exp()
    assert is_global(frames, frames * (-pump() * share).exp())


def test_a_pump_of_half_the_picture_is_not_asked_for_everywhere():
    frames = still() * (pump() * left()).exp()
    assert not is_global(frames, frames * (-pump() / 2).exp())


def test_what_moves_through_says_nothing_against_it():
    """Stripes that move by a cell a frame make places ask for other shares of a pump that is small beside them."""
    place = torch.arange(WIDTH).view(1, 1, 1, -1)
    time = torch.arange(FRAMES).view(-1, 1, 1, 1)
    frames = (0.4 + 0.15 * torch.sin((place - 8 * time) * 2 * math.pi / 72)).expand(-1, 3, HEIGHT, -1)
    assert is_global(frames * (pump() / 4).exp(), frames)


@pytest.mark.parametrize("told", [True, False])
def test_what_half_the_picture_does_is_no_curve(told: bool):
    """Both halves of a split in quarters hold as much of the side that pumps, so the curve's gate opens."""
    ramp = torch.linspace(0.1, 1, HEIGHT).view(1, 1, -1, 1)
    frames = (still() * ramp * (2 * pump() * left()).exp()).clamp(0, 1)
    no_flow = torch.zeros(FRAMES - 1, 2, HEIGHT, WIDTH)
    options = replace(BALANCED, curve=replace(BALANCED.curve, shared=told))
    solution = solve(Window(frames, no_flow, no_flow, FRAMES, (), None, ()), None, options)
    assert bool(solution.curve.any()) != told
    assert solution.log_gain[..., : WIDTH // 16 - 2].std() > 0.05


def test_no_correction_no_question():
    assert not rollback_gain(still(), still()).any()


@pytest.mark.parametrize("asked", [True, False])
def test_a_side_that_no_match_reaches_is_left_alone(asked: bool):
    """The left half flickers and is seen; the right half, which is steady, is matched nowhere."""
    frames = (still() * (pump() * left()).exp()).clamp(0, 1)
    flow = torch.zeros(FRAMES - 1, 2, HEIGHT, WIDTH)
    lost = flow + 40 * (1 - left())
    window = Window(frames, lost, lost, FRAMES, (), None, ())
    gain = solve(window, None, replace(BALANCED, static_check=asked)).log_gain
    assert gain[..., : WIDTH // 16 - 2].std() > 0.05
    assert (gain[..., WIDTH // 16 + 4 :].abs().max() < 0.02) == asked

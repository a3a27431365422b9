"""First frames that settle get the look they settle to; exposure, fades and lamps keep their course."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.settling import settling_gain
from tests.correction.scenes import cells, global_noise, matches, pan, rng

HEIGHT, WIDTH, FRAMES, STEP = 64, 96, 32, (2, 1)
CLEAN = pan(FRAMES, HEIGHT, WIDTH, step=STEP)
LUMA = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)


def gain_of(frames: Tensor) -> Tensor:
    matched = matches(frames, STEP, lags=(1, 2, 4))
    return settling_gain(frames, matched, {offset: observe(frames, match) for offset, match in matched.items()})


def course(count: int, power: float = 1.5) -> Tensor:
    """1 at the first frame, 0 from frame `count` on: `[T, 1, 1, 1]`."""
    return (1 - torch.arange(FRAMES).view(-1, 1, 1, 1) / count).clamp_min(0) ** power


def redder(share: Tensor) -> Tensor:
    return CLEAN * (share * torch.tensor([0.11, 0.0, -0.06]).view(1, 3, 1, 1)).exp()


def paler(share: Tensor) -> Tensor:
    grey = (CLEAN * LUMA).sum(1, keepdim=True)
    return (grey + (1 - 0.4 * share) * (CLEAN - grey)) * (1 + 0.08 * share)


@pytest.mark.parametrize("look", [redder, paler])
@pytest.mark.parametrize("count", [3, 5, 7])
def test_first_frames_get_the_look_they_settle_to(look, count):
    frames = look(course(count))
    gain = gain_of(frames)
    assert count - 1 <= len(gain) <= count
    settled = apply_gain(frames[: len(gain)], upsample_cells(gain, (HEIGHT, WIDTH)))
    error, given = (cells(each[: len(gain)] - CLEAN[: len(gain)]).square().mean().sqrt() for each in (settled, frames))
    assert error < given / 3


def test_under_weak_flicker():
    gain = gain_of(redder(course(5)) * global_noise(FRAMES, 0.002).exp())
    assert len(gain) in (4, 5)


LEGITIMATE = {
    "nothing": lambda: CLEAN,
    "exposure that settles": lambda: CLEAN * (0.3 * course(6)).exp(),
    "exposure from the dark": lambda: CLEAN * (-0.3 * course(6)).exp(),
    "fade in": lambda: CLEAN * (1 - course(6, 1)),
    "fade from white": lambda: CLEAN + (1 - CLEAN) * course(6, 1),
    "fade from red": lambda: CLEAN + (torch.tensor([0.6, 0.1, 0.1]).view(1, 3, 1, 1) - CLEAN) * course(6, 1),
    "white balance that takes half a second": lambda: redder(course(13)),
    "sunset": lambda: redder(course(FRAMES, 1)),
    "colour that goes on": lambda: redder(course(4) + 0.3 * torch.linspace(1, -1, FRAMES).view(-1, 1, 1, 1)),
    "colour that comes in the middle": lambda: redder(course(5).roll(10, 0)),
    "a coloured lamp on one side": lambda: torch.where(torch.arange(WIDTH) < 32, redder(3 * course(5)), CLEAN),
    "colour that swings": lambda: redder(torch.cos(torch.arange(FRAMES).view(-1, 1, 1, 1) * 1.1) * course(8)),
    "saturation that pumps": lambda: redder(0.3 * torch.randn(FRAMES, 1, 1, 1, generator=rng(2))),
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_other_light_keeps_its_course(name):
    assert len(gain_of(LEGITIMATE[name]())) == 0


def test_a_short_shot_shows_no_end_of_the_course():
    short, matched = redder(course(5))[:14], matches(CLEAN[:14], STEP, lags=(1, 2, 4))
    steps = {offset: observe(short, match) for offset, match in matched.items()}
    assert len(settling_gain(short, matched, steps)) == 0

"""Windows joined by cross-fades get the look of the first; light that changes as slowly keeps its course."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.ramps import channels, light_and_colour
from deflicker.correction.tone.seam_correction import SeamMemory, find_seams
from deflicker.correction.tone.seam_path import MOST
from tests.correction.scenes import matches, pan, rng, still

HEIGHT, WIDTH, STEP = 64, 96, (2, 1)
LOOK = torch.tensor([0.08, 0.06, 0.04])
"""Log gain of R, G and B from one window to the next: brighter and redder."""
OTHER = torch.tensor([-0.02, 0.05, 0.03])


def corrected(tone: Tensor, step: tuple[int, int] = (0, 0)) -> Tensor:
    """The log gain `[T, 3, h, w]` of a shot whose log tone is `tone [T, 3, 1 or H, 1 or W]`, decided 16 frames at a
    time as the product does."""
    clean = pan(len(tone), HEIGHT, WIDTH, step=step) if any(step) else still(len(tone), HEIGHT, WIDTH)
    frames = clean * tone.exp()
    memory, done = SeamMemory(torch.zeros(0, 3, HEIGHT // 8, WIDTH // 8)), []
    for core in range(0, len(tone), 16):
        first, new = max(0, core - 16), min(16, len(tone) - core)
        part = frames[first : core + 32]
        matched = matches(part, step, lags=(1, 2, 4))
        seams = find_seams(part, matched, {offset: observe(part, match) for offset, match in matched.items()}, memory)
        past = core - first
        done.append(seams.log_gain[past : past + new])
        memory = seams.memory(slice(max(0, past + new - 16), past + new), new)
    return torch.cat(done)


def ramp(frames: int, middle: float, length: float) -> Tensor:
    """From 0 to 1 over `length` frames, `[T]`."""
    return ((torch.arange(frames) - middle + length / 2) / length).clamp(0, 1)


def windows(frames: int, every: float, length: float, *looks: Tensor) -> Tensor:
    """Windows joined every so many frames, `[T, 3, 1, 1]`; each look is a log gain `[3]` beyond the one before."""
    course = sum(ramp(frames, every * (k + 1), length)[:, None] * look for k, look in enumerate(looks))
    return course[..., None, None]


def spread(tone: Tensor, gain: Tensor) -> float:
    """Largest change of what comes out over the whole shot, of any channel."""
    after = tone[:, :, 0, 0] + gain.mean((2, 3))
    return float((after.amax(0) - after.amin(0)).max())


@pytest.mark.parametrize("step", [(0, 0), STEP])
@pytest.mark.parametrize("length", [4, 6])
@pytest.mark.parametrize("looks", [(LOOK, LOOK), (LOOK, OTHER), (-LOOK, -LOOK)])
def test_windows_get_the_look_of_the_first(looks, length, step):
    tone = windows(32, 10.7, length, *looks)
    gain = corrected(tone - 0.2, step)
    assert not gain[0].any()
    assert spread(tone, gain) < 0.2 * spread(tone, torch.zeros_like(gain))


def test_under_weak_flicker():
    tone = windows(32, 10.7, 6, LOOK, LOOK)
    gain = corrected(tone + 0.002 * torch.randn(32, 1, 1, 1, generator=rng(3)))
    assert spread(tone, gain) < 0.25 * spread(tone, torch.zeros_like(gain))


def test_while_light_has_a_course_of_its_own():
    """Windows that each get warmer are told by their colour; the light that they share is taken off, no other."""
    light = 0.04 * torch.sin(torch.arange(96) / 9)[:, None, None, None]
    tone = windows(96, 18, 6, *[LOOK] * 4)
    gain = corrected(tone + light - 0.3)
    assert not gain[:14].any()
    assert spread(tone, gain) < 0.35 * spread(tone, torch.zeros_like(gain))


def test_channels_come_back_from_light_and_colour():
    gain = torch.randn(7, 3, generator=rng(2))
    assert torch.allclose(channels(light_and_colour(gain)), gain, atol=1e-6)
    assert torch.allclose(light_and_colour(gain).square().sum(1), gain.square().mean(1), atol=1e-5)


def test_a_shot_remembers_windows_that_no_one_window_of_the_solver_sees():
    """Joints 40 frames apart: the second shows what the first was, and it and those after it are taken off."""
    tone = windows(144, 40, 8, LOOK, 0.5 * LOOK + OTHER, OTHER)
    gain = corrected(tone - 0.2)
    assert not gain[:70].any()
    after = (tone + gain.mean((2, 3), keepdim=True))[60:, :, 0, 0]
    assert (after.amax(0) - after.amin(0)).max() < 0.35 * (tone[60:].amax() - tone[60:].amin())


def test_the_sum_of_cross_fades_stays_in_its_bound():
    tone = windows(128, 12, 5, *[1.5 * LOOK] * 10) - 1
    gain = corrected(tone)
    assert gain.min() < -0.3
    assert gain.mean((2, 3)).abs().max() < MOST + 1e-4


def course(place: Tensor, look: Tensor = LOOK) -> Tensor:
    return place[:, None, None, None] * look.view(1, 3, 1, 1)


def settled(start: int, frames: float) -> Tensor:
    """Comes nearer ever more slowly, as a white balance does."""
    return 1 - (-(torch.arange(64) - start).clamp_min(0) / frames).exp()


def eased(middle: float, length: float) -> Tensor:
    share = ramp(64, middle, length)
    return share * share * (3 - 2 * share)


ON_ONE_SIDE = torch.sigmoid((30 - torch.arange(WIDTH)) / 10.0).view(1, 1, 1, WIDTH)
GREY = torch.full((3,), 0.08)
LEGITIMATE = {
    "nothing": lambda: torch.zeros(64, 3, 1, 1),
    "one ramp": lambda: course(ramp(64, 22, 6)),
    "a lamp that goes on and off": lambda: course(ramp(64, 18, 6) - ramp(64, 36, 6)),
    "a lamp that goes on and off and on": lambda: course(ramp(64, 14, 5) - ramp(64, 28, 5) + ramp(64, 42, 5)),
    "exposure that changes twice": lambda: course(ramp(64, 20, 6) + ramp(64, 40, 6), GREY),
    "white balance that settles twice": lambda: course(settled(12, 5) + settled(36, 5)),
    "sunset": lambda: course(torch.linspace(0, 3, 64)),
    "a drift with slower parts": lambda: course(torch.linspace(0, 2, 64) + ramp(64, 20, 8) + ramp(64, 40, 8)),
    "a lamp at one side in two stages": lambda: 3 * course(ramp(64, 18, 6) + ramp(64, 36, 6)) * ON_ONE_SIDE,
    "coloured light, much of it": lambda: 5 * course(ramp(64, 18, 6) + ramp(64, 36, 6)),
    "ramps of other lengths": lambda: course(ramp(64, 18, 4) + ramp(64, 40, 14)),
    "ramps late in a shot": lambda: course(ramp(64, 40, 5) + ramp(64, 54, 5)),
    "colour that swings": lambda: course(torch.sin(torch.arange(64) / 6)),
    "coloured light in three stages": lambda: 5 * course(ramp(64, 14, 6) + ramp(64, 28, 6) + ramp(64, 42, 6)),
    "clouds": lambda: course(3 * eased(20, 18) + 2 * eased(46, 18)),
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_other_light_keeps_its_course(name):
    tone = LEGITIMATE[name]() + 0.0005 * torch.randn(64, 3, 1, 1, generator=rng(5)) - 0.3
    assert not corrected(tone).any()


def test_ramps_over_a_cut_of_the_film_are_not_joined():
    """Where frames are left out, light may have changed, and the course begins anew."""
    tone, found = windows(48, 12, 5, LOOK, LOOK), []
    for gaps in ((), (18,)):
        part = still(32, HEIGHT, WIDTH) * (tone[:32] - 0.2).exp()
        matched = matches(part, lags=(1, 2, 4))
        steps = {offset: observe(part, match) for offset, match in matched.items()}
        memory = SeamMemory(torch.zeros(0, 3, HEIGHT // 8, WIDTH // 8))
        found.append(bool(find_seams(part, matched, steps, memory, gaps=gaps).log_gain.any()))
    assert found == [True, False]

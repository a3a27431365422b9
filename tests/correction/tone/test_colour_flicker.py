"""Saturation, hue and a wrong matrix flicker and step by themselves, and are corrected without touching greys."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.colour_mix import apply_mix, from_grey
from deflicker.correction.tone.colour_flicker import MixMemory, solve_mixes
from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.seam_correction import SeamMemory, find_seams
from deflicker.media.color import BT709, bt709_luma
from tests.correction.scenes import global_noise, local_noise, matches, pan, rng

FRAMES, HEIGHT, WIDTH, STEP = 32, 64, 96, (2, 1)
LAGS = (1, 2, 4)
TIME = torch.arange(FRAMES).view(-1, 1, 1)
CLEAN = pan(FRAMES, HEIGHT, WIDTH, step=STEP)
CLEAN = CLEAN.mean(1, keepdim=True) + 1.5 * (CLEAN - CLEAN.mean(1, keepdim=True))
"""Colours all over, and each of its own."""
RED, GREEN, BLUE = BT709


def keeping_luma(red: tuple[float, float], blue: tuple[float, float]) -> Tensor:
    """Θ `[3, 2]` with these rows of red and blue, and the one of green that leaves luma alone."""
    ends = torch.tensor([red, blue])
    green = -(RED * ends[0] + BLUE * ends[1]) / GREEN
    return torch.stack([ends[0], green, ends[1]])


SATURATION = keeping_luma((1, 0), (0, 1))
"""Θ of twice the saturation."""
HUE = keeping_luma((0, 1), (-1, 0))
NOISE = torch.randn(FRAMES, 1, 1, generator=rng(3))


def solved(frames: Tensor, memory: MixMemory | None = None, step: tuple[int, int] = STEP) -> Tensor:
    return solve_mixes(frames, matches(frames, step, LAGS), memory or MixMemory.empty(frames)).total


def chroma(frames: Tensor) -> Tensor:
    return torch.einsum("ij,tjhw->tihw", from_grey(frames), frames)


def varying(mix: Tensor) -> Tensor:
    """Root mean square of what is not constant."""
    return (mix - mix.mean(0)).square().mean().sqrt()


def both(first: Tensor, then: Tensor) -> Tensor:
    """The mix that two make, one after the other."""
    to, unit = from_grey(first), torch.eye(3)
    return ((unit + then @ to) @ (unit + first @ to) - unit) @ torch.linalg.pinv(to)


WRONG_MATRIX = torch.tensor([[0.09, 0.01], [-0.13, -0.08], [-0.01, 0.04]])
FLICKER = {
    "wrong matrix": WRONG_MATRIX * (TIME % 2),
    "saturation": SATURATION * 0.1 * NOISE,
    "hue": HUE * 0.12 * NOISE,
}


@pytest.mark.parametrize("kind", FLICKER)
def test_flicker_of_colour_goes(kind):
    found = solved(apply_mix(CLEAN, FLICKER[kind]))
    assert varying(both(FLICKER[kind], found)) < varying(FLICKER[kind]) / 4
    luma = found.new_tensor(BT709) @ found
    assert luma.abs().max() > 0.03 if kind == "wrong matrix" else luma.abs().max() < 1e-6


def test_saturation_that_pumps_by_half_goes_and_costs_no_luma():
    """Frames lose half of their colour, others double it: a mix cut short must not be left with a part of luma."""
    luma = bt709_luma(CLEAN)[:, None]
    shown = (luma + (CLEAN - luma) * (0.5 * NOISE[..., None]).exp()).clamp(0, 1)
    found = solved(shown)
    assert found.abs().max() > 0.5
    assert (found.new_tensor(BT709) @ found).abs().max() < 1e-5
    left = (apply_mix(shown, found) - CLEAN).square().mean()
    assert left < (shown - CLEAN).square().mean() / 9


def test_a_colour_that_steps_is_taken_off_as_a_whole():
    """Windows of a generator, each more saturated than the last."""
    stairs = SATURATION * 0.12 * (TIME // 11)
    found = solved(apply_mix(CLEAN, stairs))
    assert varying(both(stairs, found)) < varying(stairs) / 4
    moved = found.diff(dim=0).abs().amax((1, 2))
    assert moved[[10, 21]].min() > 0.05
    moved[[10, 21]] = 0
    assert moved.max() < 0.005


def test_a_pale_first_frame_is_corrected_and_no_other():
    shown = CLEAN.clone()
    shown[0] = (apply_mix(CLEAN[0], -0.3 * SATURATION) * 1.1 + 0.01).clamp(0, 1)
    found = solved(shown)
    assert not found[1:].any()
    mixed = apply_mix(shown, found)
    matched = matches(mixed, STEP, LAGS)
    steps = {offset: observe(mixed, match) for offset, match in matched.items()}
    seams = find_seams(mixed, matched, steps, SeamMemory(mixed.new_zeros(0, 3, HEIGHT // 8, WIDTH // 8)))
    assert seams.before == ()
    assert not seams.log_gain[1:].any()
    assert (seams.log_gain[0].mean() + torch.tensor(1.1).log()).abs() < 0.04
    assert chroma(mixed / 1.1 - CLEAN)[0].square().mean() < chroma(shown - CLEAN)[0].square().mean() / 9


STEADY = {
    "nothing": CLEAN,
    "exposure": CLEAN * global_noise(FRAMES, 0.1).exp(),
    "white balance": CLEAN * (0.1 * torch.randn(FRAMES, 3, 1, 1, generator=rng(8))).exp(),
    "regions": CLEAN * local_noise(FRAMES, HEIGHT, WIDTH, 0.1).exp(),
    "saturation that rises slowly": apply_mix(CLEAN, SATURATION * 0.01 * TIME),
    "grey pictures": CLEAN.mean(1, keepdim=True).expand(-1, 3, -1, -1),
}


@pytest.mark.parametrize("kind", STEADY)
def test_what_gains_can_say_is_left_to_them(kind):
    assert not solved(STEADY[kind].clamp(0, 1)).any()


def test_greys_stay_as_they_are():
    grey = torch.rand(1, 8, 8, generator=rng(1)).expand(3, -1, -1)
    mix = torch.randn(3, 2, generator=rng(2))
    assert (apply_mix(grey, mix) - grey).abs().max() < 1e-6


def test_decided_frames_keep_their_mix():
    shown = apply_mix(CLEAN, WRONG_MATRIX * (TIME % 2) + SATURATION * 0.12 * (TIME >= 8))
    first = solve_mixes(shown[:20], matches(shown[:20], STEP, LAGS), MixMemory.empty(shown))
    memory = first.memory(slice(4, 16))
    assert torch.equal(solved(shown[4:], memory)[:12], first.total[4:16])


def test_windows_that_climb_get_the_colours_of_the_first():
    """Steps that go up and down are brought to their mean, climbing ones to the first frames."""
    climbing = SATURATION * 0.14 * sum((start <= TIME).float() for start in (8, 16, 24))
    shown = apply_mix(CLEAN, climbing)
    left = chroma(apply_mix(shown, solved(shown)) - CLEAN).square().mean((1, 2, 3)).sqrt()
    given = chroma(shown - CLEAN).square().mean((1, 2, 3)).sqrt()
    assert left[:8].max() < 0.05 * given.max()
    assert left.max() < 0.15 * given.max()
    swinging = SATURATION * 0.14 * ((TIME >= 8).float() - (TIME >= 16).float() + (TIME >= 24).float())
    assert solved(apply_mix(CLEAN, swinging)).mean(0).abs().max() < 0.02

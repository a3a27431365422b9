"""The gate: silent on whatever a clean clip does, and right about how much flicker there is where there is some."""

import math

import pytest
import torch

from deflicker.correction.tone.flicker_gate import all_alike, all_change, flicker_of_places, flicker_scale
from deflicker.correction.tone.pyramid import Pyramid
from tests.correction.scenes import cells, global_noise, local_noise, rng, still, tone_steps
from tests.correction.tone.test_gain_field import solved

FRAMES, HEIGHT, WIDTH = 24, 6, 8
PLACE = torch.randn(1, 3, HEIGHT, WIDTH, generator=rng(9))


def scale_of(tone: torch.Tensor) -> torch.Tensor:
    """Scale per level, finest first, of cells' log tone `[T, 3, h, w]`."""
    return flicker_scale(tone_steps(tone.expand(-1, 3, HEIGHT, WIDTH)), Pyramid(HEIGHT, WIDTH))


def step_at(frame: int, size: float | torch.Tensor) -> torch.Tensor:
    return (torch.arange(FRAMES) >= frame).float().view(-1, 1, 1, 1) * size


TIME = torch.arange(FRAMES).float().view(-1, 1, 1, 1)
INNOCENT = {
    "constant": torch.full((FRAMES, 1, 1, 1), -0.7),
    "constant picture": PLACE.expand(FRAMES, -1, -1, -1),
    "fade": TIME * 0.05,
    "fade out": TIME * -0.2,
    "light that moves up here and down there": TIME * 0.03 * PLACE,
    "exposure ramp": (TIME - 8).clamp(0, 6) * 0.1,
    "seam": step_at(11, 0.3),
    "seam of colour": step_at(7, torch.tensor([0.2, 0.0, -0.2]).view(1, 3, 1, 1)),
    "seam with a shape": step_at(13, 0.2 * PLACE),
    "slow swell": 0.3 * torch.sin(TIME * 2 * math.pi / 24),
    "light passing by": 0.4 * torch.exp(-((torch.arange(WIDTH) - TIME / 3) ** 2) / 8),
}


@pytest.mark.parametrize("name", INNOCENT)
def test_zero_where_nothing_flickers(name):
    assert scale_of(INNOCENT[name]).tolist() == [0.0] * 4


def typical(scales: list[torch.Tensor]) -> list[float]:
    """Root mean square over windows: one window of one number a frame is a small sample."""
    return torch.stack(scales).square().mean(0).sqrt().tolist()


@pytest.mark.parametrize("sd", [0.01, 0.05, 0.2])
def test_independent_noise_of_the_whole_picture_is_measured(sd):
    *finer, whole = typical([scale_of(global_noise(FRAMES, sd, seed)) for seed in range(12)])
    assert whole == pytest.approx(sd, rel=0.2)
    assert finer == [0.0] * 3


@pytest.mark.parametrize("sd", [0.02, 0.1])
@pytest.mark.parametrize("knots", [2, 3, 6])
def test_independent_noise_of_regions_is_measured(sd, knots):
    tone = cells(local_noise(FRAMES, 96, 128, sd, knots=knots)).expand(-1, 3, -1, -1)
    scale = flicker_scale(tone_steps(tone), Pyramid(12, 16))
    assert scale.square().sum().sqrt().item() == pytest.approx(float(tone.std()), rel=0.3)


def test_finer_noise_opens_finer_levels():
    centres = []
    for knots in (2, 4, 8):
        tone = cells(local_noise(FRAMES, 96, 128, 0.1, knots=knots)).expand(-1, 3, -1, -1)
        scale = flicker_scale(tone_steps(tone), Pyramid(12, 16))
        centres.append(float((scale.square() * torch.arange(len(scale))).sum() / scale.square().sum()))
    assert centres == sorted(centres, reverse=True)
    assert centres[0] > centres[-1] + 1


def test_flicker_on_top_of_a_fade_and_a_seam_is_still_found():
    light = TIME * 0.01 + step_at(12, 0.1)
    whole = typical([scale_of(global_noise(FRAMES, 0.1, seed) + light) for seed in range(12)])[-1]
    assert whole == pytest.approx(0.1, rel=0.3)


def test_flicker_below_sight_is_left():
    assert scale_of(global_noise(FRAMES, 0.0005)).max() == 0


def test_what_weighs_nothing_does_not_open_it():
    """Half of the picture shakes and none of its matches are visible."""
    steps = tone_steps((global_noise(FRAMES, 0.2) * (torch.arange(WIDTH) < 4)).expand(-1, 3, HEIGHT, WIDTH))
    for step in steps.values():
        step.weight[..., :4] = 0
    assert flicker_scale(steps, Pyramid(HEIGHT, WIDTH)).max() == 0


def test_what_weighs_little_counts_little():
    """Every cell of the left half shakes on its own; nearly all that is trusted is on the right."""
    noise = 0.2 * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=rng(3)) * (torch.arange(WIDTH) < 4)
    trusted = flicker_scale(tone_steps(noise), Pyramid(HEIGHT, WIDTH))[0]
    steps = tone_steps(noise)
    for step in steps.values():
        step.weight[..., :4] = 0.1
    assert flicker_scale(steps, Pyramid(HEIGHT, WIDTH))[0] < trusted / 3


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_few_frames(frames):
    scale = flicker_scale(tone_steps(torch.zeros(frames, 3, HEIGHT, WIDTH)), Pyramid(HEIGHT, WIDTH))
    assert scale.tolist() == [0.0] * 4


@pytest.mark.parametrize("name", ["fade", "seam", "light passing by"])
def test_a_closed_gate_corrects_nothing(name):
    light = torch.nn.functional.interpolate(INNOCENT[name].expand(-1, 3, HEIGHT, WIDTH), scale_factor=8)
    gain = solved(still(FRAMES) * (light - light.max()).exp())
    assert torch.equal(gain, torch.zeros_like(gain))


def scale_of_both(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    here, there = (tone_steps(tone.expand(-1, 3, HEIGHT, WIDTH)) for tone in (one, other))
    return flicker_scale(here, Pyramid(HEIGHT, WIDTH), others=there)


def test_only_what_two_places_share_counts():
    """Twelve pairs of windows: the same noise in both is measured, each its own is not."""
    shared = typical([scale_of_both(*[global_noise(48, 0.1, seed)] * 2) for seed in range(12)])[-1]
    apart = typical(
        [scale_of_both(global_noise(48, 0.1, seed), global_noise(48, 0.1, seed + 50)) for seed in range(12)]
    )
    assert shared == pytest.approx(0.1, rel=0.2)
    assert apart[-1] < 0.05


def test_what_is_not_worth_touching_is_told_per_level():
    steps = tone_steps(global_noise(FRAMES, 0.05).expand(-1, 3, HEIGHT, WIDTH))
    pyramid = Pyramid(HEIGHT, WIDTH)
    found = float(flicker_scale(steps, pyramid)[-1])
    less = float(flicker_scale(steps, pyramid, smallest=(0.0, 0.0, 0.0, 0.03))[-1])
    assert less**2 == pytest.approx(found**2 + 0.002**2 - 0.03**2, rel=1e-3)
    assert flicker_scale(steps, pyramid, smallest=(0.0, 0.0, 0.0, 0.06))[-1] == 0


def places_of(tone: torch.Tensor, noise: float = 0.0, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Flicker of places and of levels of cells' log tone `[T, 3, h, w]` whose steps err by `noise`."""
    pyramid = Pyramid(*tone.shape[-2:])
    steps = tone_steps(tone)
    for step in steps.values():
        step.log_ratio.add_(noise * torch.randn(step.log_ratio.shape, generator=rng(10 * seed + step.offset + 5)))
    scale = flicker_scale(steps, pyramid)
    return flicker_of_places(steps, pyramid, scale), scale


@pytest.mark.parametrize("name", INNOCENT)
def test_no_place_opens_where_nothing_flickers(name):
    places, _ = places_of(INNOCENT[name].expand(-1, 3, HEIGHT, WIDTH).clone())
    assert all(float(place.max()) == 0 for place in places)


def test_errors_of_steps_open_no_place():
    for seed in range(3):
        places, _ = places_of(torch.zeros(48, 3, 12, 16), 0.02, seed)
        assert all(float(place.max()) == 0 for place in places)


def test_places_share_out_what_their_level_has():
    """The left half pumps, each of its regions by itself."""
    left = (torch.arange(16) < 8).float()
    tone = cells(local_noise(48, 96, 128, 0.1, knots=6)).expand(-1, 3, -1, -1) * left
    places, scale = places_of(tone)
    assert places[0].shape == (1, 1, 12, 16)
    assert scale[2] > 0
    assert places[2][..., 0].mean() > scale[2] > 2 * places[2][..., -1].mean()


def test_a_small_part_of_the_picture_opens_by_itself():
    """Sixteen cells of 768 pump among steps that err: too few for their levels' correlation."""
    tone = torch.zeros(64, 3, 24, 32)
    tone[..., 8:12, 12:16] = global_noise(64, 0.1)
    places, scale = places_of(tone, 0.1)
    regions = places[2][0, 0]
    assert scale[2] == 0
    assert regions[2, 3] > 0.003
    far = torch.ones_like(regions)
    far[1:4, 2:5] = 0
    assert (regions * far).max() == 0


def test_no_cell_flickers_more_than_the_regions_around_it():
    tone = 0.2 * torch.randn(48, 3, 12, 16, generator=rng(8))
    places, scale = places_of(tone)
    pyramid = Pyramid(12, 16)
    assert scale[0] > scale[1] > scale[2] > 0
    for level in (0, 1):
        assert (places[level] <= pyramid.finer(level, places[level + 1])).all()


@pytest.mark.parametrize(("size", "kept"), [((12, 16), [1, 1, 1, 3, 4]), ((2, 2), [1, 5])])
def test_alike_levels_are_held_to_their_regions_too(size, kept):
    scale = torch.tensor([5.0, 2.0, 1.0, 3.0, 4.0] if len(kept) == 5 else [1.0, 5.0])
    places = all_alike(scale, Pyramid(*size))
    assert [place.unique().tolist() for place in places] == [[value] for value in kept]


def test_all_change_is_the_energy_of_steps():
    """d = n' − n has twice the variance of independent n."""
    found = all_change(tone_steps(global_noise(200, 0.1).expand(-1, 3, HEIGHT, WIDTH)), Pyramid(HEIGHT, WIDTH))
    assert found[-1].item() == pytest.approx(0.1, rel=0.15)
    assert found[:-1].max() < 1e-6

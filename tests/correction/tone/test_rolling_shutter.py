"""Waves of mains light over the rows are found whatever moves, and nothing else is taken for them."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.apply import apply_gain, upsample_cells
from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.rolling_shutter import Rows, Wave, find_waves, waves_of
from deflicker.motion.filters import CELL_PX
from tests.correction.scenes import global_noise, matches, pan, rng, still

FRAMES, HEIGHT, WIDTH = 32, 128, 96
ROWS = HEIGHT // CELL_PX
SCENES = {"still": (still(FRAMES, HEIGHT, WIDTH), (0, 0)), "pan": (pan(FRAMES, HEIGHT, WIDTH), (2, 1))}


def wave(per_height: float, per_frame: float, size: float = 0.08) -> Wave:
    """A little more blue than red, as lamps are."""
    amplitude = size * torch.tensor([0.8, 1.0, 1.2]) * torch.polar(torch.ones(3), torch.full((3,), 0.7))
    return Wave(per_height, per_frame, amplitude)


def lit(clean: Tensor, *waves: Wave) -> Tensor:
    """Under waves, pixel by pixel."""
    log_gain = sum(each.log_gain(len(clean), HEIGHT) for each in waves)
    return apply_gain(clean, log_gain.expand_as(clean))


def steps_of(frames: Tensor, step: tuple[int, int]):
    return {offset: observe(frames, match) for offset, match in matches(frames, step, (1, 2, 4)).items()}


def found_in(frames: Tensor, step: tuple[int, int]) -> list[Wave]:
    steps = steps_of(frames, step)
    return waves_of([Rows.of(each) for offset, each in steps.items() if offset > 0], len(frames))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(("per_height", "per_frame"), [(1.3, 0.045), (2.6, -0.07), (0.8, 0.31), (4.0, -0.42)])
def test_a_wave_is_found_as_it_is(scene, per_height, per_frame):
    clean, step = SCENES[scene]
    there = wave(per_height, per_frame)
    found = found_in(lit(clean, there), step)[0]
    assert found.per_height == pytest.approx(per_height, abs=0.05)
    assert found.per_frame == pytest.approx(per_frame, abs=0.003)
    assert torch.allclose(found.amplitude.abs(), there.amplitude.abs(), rtol=0.1)


def test_two_lights_are_two_waves():
    clean, step = SCENES["pan"]
    found = found_in(lit(clean, wave(1.3, 0.047), wave(3.1, 0.21, 0.05)), step)
    assert sorted(round(each.per_frame, 2) for each in found[:2]) == [0.05, 0.21]


@pytest.mark.parametrize("scene", SCENES)
def test_the_light_becomes_even(scene):
    clean, step = SCENES[scene]
    shown = lit(clean, wave(1.3, 0.045))
    log_gain = find_waves(steps_of(shown, step), FRAMES, None)
    assert log_gain is not None
    assert log_gain.shape == (FRAMES, 3, ROWS, 1)
    left = apply_gain(shown, upsample_cells(log_gain, (HEIGHT, WIDTH)))
    assert (left - clean).square().mean() < (shown - clean).square().mean() / 50


def flickers() -> dict[str, Tensor]:
    clean, random = SCENES["pan"][0], rng(7)
    regions = upsample_cells(0.1 * torch.randn(FRAMES, 1, 4, 3, generator=random), (HEIGHT, WIDTH))
    rows = upsample_cells(0.1 * torch.randn(FRAMES, 1, 6, 1, generator=random), (HEIGHT, WIDTH))
    fade = torch.linspace(0, -0.8, FRAMES).view(-1, 1, 1, 1)
    dusk = fade * torch.linspace(0, 1, HEIGHT).view(1, 1, -1, 1)  # falls over the picture
    return {
        "nothing": clean,
        "noise": (clean + 0.02 * torch.randn(clean.shape, generator=random)).clamp(0, 1),
        "pump": apply_gain(clean, global_noise(FRAMES, 0.1).expand_as(clean)),
        "regions": apply_gain(clean, regions.expand_as(clean)),
        "rows": apply_gain(clean, rows.expand_as(clean)),
        "fade": apply_gain(clean, fade.expand_as(clean)),
        "dusk": apply_gain(clean, dusk.expand_as(clean)),
        "dimmed": apply_gain(clean, (-3 * dusk.square()).expand_as(clean)),
    }


@pytest.mark.parametrize("kind", flickers())
def test_no_other_light_is_a_wave(kind):
    assert find_waves(steps_of(flickers()[kind], (2, 1)), FRAMES, None) is None


def test_what_was_decided_stays():
    clean, step = SCENES["still"]
    memory = torch.full((5, 3, ROWS, 1), 0.01)
    found = find_waves(steps_of(lit(clean, wave(1.3, 0.045)), step), FRAMES, memory)
    assert torch.equal(found[:5], memory)
    assert found[5:].abs().max() > 0.05
    quiet = find_waves(steps_of(clean, step), FRAMES, memory)
    assert torch.equal(quiet[:5], memory)
    assert not quiet[5:].any()


def test_too_few_frames_or_rows_say_nothing():
    clean = lit(SCENES["still"][0], wave(1.3, 0.3))
    assert find_waves(steps_of(clean[:8], (0, 0)), 8, None) is None
    assert find_waves(steps_of(clean[:, :, :64], (0, 0)), FRAMES, None) is None
    assert find_waves({}, 1, None) is None

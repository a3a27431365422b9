"""How much boils: against noise of known strength, and what must not pass for boil."""

import pytest
import torch
import torch.nn.functional as F

from deflicker.correction.texture.boil_estimate import FLOORS, Neighbours, boil_variance, boiling
from deflicker.correction.texture.differences import LEVELS

OFFSETS = (-2, -1, 1, 2)
ACROSS, BESIDE = [(1, 2), (0, 3), (1, 3), (0, 2)], [(1, 0), (2, 3)]


def scene(*, size=(96, 128), seed=0):
    """Smooth luma `[1, 1, H, W]` with detail of 4 px and more."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, 1, size[0] // 4, size[1] // 4, generator=generator)
    return 0.3 + 0.4 * F.interpolate(rough, size=size, mode="bicubic").clamp(0, 1)


def noises(count, deviation, *, size=(96, 128), seed=1):
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(count, 1, *size, generator=generator)


def around(luma, *, flow_error_px=0.02, visible=None):
    """Neighbours at `OFFSETS` that show `luma [4, 1, H, W]`."""
    seen = torch.ones_like(luma) if visible is None else visible
    return Neighbours(OFFSETS, luma, seen, torch.full_like(luma[:1], flow_error_px))


def variance_of(differences, *, suspicion=0.0, floor=0.0):
    doubt = torch.full((1, 1, 24, 32), suspicion)
    return boil_variance(differences, torch.ones_like(differences), ACROSS, BESIDE, doubt, floor)


@pytest.mark.parametrize("deviation", [0.01, 0.02])
def test_the_variance_of_new_noise_is_found(deviation):
    mine, *others = noises(5, deviation)
    found = variance_of(torch.stack(others) - mine).mean()
    assert float(found) == pytest.approx(deviation**2, rel=0.15)


def test_steady_change_is_no_boil():
    """A slope in time: what comes before lies below, what comes after above."""
    slope = noises(1, 0.05)
    assert float(variance_of(torch.cat([-2 * slope, -slope, slope, 2 * slope])).max()) == 0


def test_what_one_side_shares_is_counted_off_where_motion_is_uncertain():
    """Matches wrong the same way on each side, and a little alike on both."""
    left, right, both = noises(3, 0.02).unbind()
    differences = torch.stack([left + both, left + both, right + both, right + both]) * 0.7
    certain, uncertain = variance_of(differences), variance_of(differences, suspicion=2.0)
    assert float(certain.mean()) > 1e-4
    assert float(uncertain.mean()) < 0.2 * float(certain.mean())


@pytest.mark.parametrize("memory", [0.3, 0.6])
def test_boil_with_a_memory_is_no_wrong_match(memory):
    """An autoregressive texture: whatever the doubt, the part of it that is new on both sides is found."""
    frames = noises(5, 0.02)
    for frame in range(1, 5):
        frames[frame] = memory * frames[frame - 1] + (1 - memory**2) ** 0.5 * frames[frame]
    differences = torch.cat([frames[:2], frames[3:]]) - frames[2]
    certain, uncertain = variance_of(differences), variance_of(differences, suspicion=2.0)
    assert float(uncertain.mean()) > 0.6 * float(certain.mean())
    assert float(certain.mean()) > 0.25 * (1 - memory) ** 2 * 0.02**2


def test_the_same_wrong_thing_on_all_sides_is_no_boil():
    mine, other = noises(2, 0.02).split(1)
    differences = (other - mine).expand(4, -1, -1, -1).clone()
    assert float(variance_of(differences).mean()) > 1e-4
    assert float(variance_of(differences, suspicion=2.0).mean()) == 0


def test_what_lies_under_the_floor_is_left_alone():
    mine, *others = noises(5, 0.5 * FLOORS[0] ** 0.5)
    assert float(variance_of(torch.stack(others) - mine, floor=FLOORS[0]).max()) == 0


def test_a_change_of_shape_is_no_boil():
    """Twelve code values and more are another picture, not grain."""
    mine, *others = noises(5, 24 / 255)
    assert float(variance_of(torch.stack(others) - mine).mean()) == 0


def test_a_still_texture_does_not_boil():
    still = scene()
    assert float(boiling(still, around(still.expand(4, -1, -1, -1).clone())).explained) == 0


def blurred_noises(deviation):
    """Noise with grain of some pixels, as textures have."""
    fine = noises(5, 1.0)
    grain = F.avg_pool2d(fine, 3, 1, 1) - F.avg_pool2d(fine, 7, 1, 3)
    return deviation * grain / grain.std()


def test_much_of_the_change_of_what_boils_is_boil():
    mine, *others = scene() + blurred_noises(0.02)
    boil = boiling(mine[None], around(torch.stack(others)))
    assert float(boil.explained / boil.change) > 0.3


def test_detail_that_resampling_softens_is_no_boil():
    """Neighbours that were moved by a part of a pixel and back show less of the frame's fine detail."""
    detail = (scene() + blurred_noises(0.05)[:1]).clamp(0, 1)
    moved = [part * detail.roll(1, -1) + (1 - part) * detail for part in (0.4, 0.3, 0.5, 0.3)]
    back = [
        part * each.roll(-1, -1) + (1 - part) * each for part, each in zip((0.4, 0.3, 0.5, 0.3), moved, strict=True)
    ]
    found = boiling(detail, around(torch.cat(back)))
    assert found.variance[0].mean() > 0
    assert float(found.explained) == 0


def test_a_frame_at_the_edge_cannot_tell():
    first, second, third, *_ = (scene() + blurred_noises(0.02)).unbind()
    ones = torch.ones(2, 1, 96, 128)
    assert boiling(first[None], Neighbours((1, 2), torch.stack([second, third]), ones, 0.02 * ones[:1])) is None


def test_bands_go_down_to_tone():
    assert len(FLOORS) == LEVELS

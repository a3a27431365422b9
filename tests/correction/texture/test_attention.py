"""Texture: attention against least squares, boil against noise of known strength, and what must stay untouched."""

import pytest
import torch
import torch.nn.functional as F

from deflicker.correction.texture.boil import (
    FLOORS,
    LEVELS,
    Neighbours,
    TextureOptions,
    attend,
    boil_variance,
    boiling,
    boiling_alike,
)

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


def test_attention_is_the_weighted_least_squares_mean():
    generator = torch.Generator().manual_seed(3)
    frame, others = torch.rand(1, 1, 2, 2, generator=generator), torch.rand(4, 1, 2, 2, generator=generator)
    variance, misfit = torch.rand(1, 1, 1, 1, generator=generator), torch.rand(4, 1, 1, 1, generator=generator)
    found = frame + attend(others - frame, variance / (variance + misfit))
    trust = torch.cat([1 / variance, 1 / (variance + misfit)])  # on a cell of 2 × 2 pixels, as scores are
    expected = (trust * torch.cat([frame, others])).sum(0, keepdim=True) / trust.sum(0, keepdim=True)
    assert torch.allclose(found, expected, atol=1e-6)


def test_attention_is_where_gradient_descent_on_its_energy_ends():
    """Adam on E(z) = |z − y|² / σ² + Σ_k |z − X_k|² / (σ² + τ_k²), which knows no closed form."""
    generator = torch.Generator().manual_seed(4)
    frame, others = torch.rand(1, 1, 8, 8, generator=generator), torch.rand(4, 1, 8, 8, generator=generator)
    variance = torch.full((1, 1, 4, 4), 0.3)
    misfit = torch.rand(4, 1, 1, 1, generator=generator).expand(-1, -1, 4, 4)
    full = F.interpolate(variance + misfit, scale_factor=2.0)
    found = frame + attend(others - frame, variance / (variance + misfit))
    z = torch.zeros_like(frame).requires_grad_()
    adam = torch.optim.Adam([z], lr=0.05)
    for step in range(600):
        adam.param_groups[0]["lr"] = 0.05 * 0.99**step
        adam.zero_grad()
        ((z - frame).square() / 0.3 + ((z - others).square() / full).sum(0, keepdim=True)).sum().backward()
        adam.step()
    torch.testing.assert_close(found, z.detach(), atol=1e-3, rtol=0)


def test_attention_to_nobody_changes_nothing():
    assert torch.equal(attend(torch.rand(4, 1, 3, 3), torch.zeros(4, 1, 2, 2)), torch.zeros(1, 1, 3, 3))


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


def test_a_still_texture_stays_exactly():
    still = scene()
    boil = boiling(still, around(still.expand(4, -1, -1, -1).clone()))
    assert torch.equal(boil.residual, torch.zeros_like(still))
    assert float(boil.explained) == 0


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


def sharpness(a, b):
    energy = [x.diff(dim=-1).square().sum() + x.diff(dim=-2).square().sum() for x in (a, b)]
    return float(energy[0] / energy[1])


def blurred_noises(deviation):
    """Noise with grain of some pixels, as textures have."""
    fine = noises(5, 1.0)
    grain = F.avg_pool2d(fine, 3, 1, 1) - F.avg_pool2d(fine, 7, 1, 3)
    return deviation * grain / grain.std()


def test_boil_goes_and_sharpness_stays():
    clean = scene()
    mine, *others = clean + blurred_noises(0.02)
    boil = boiling(mine[None], around(torch.stack(others)))
    steady = mine[None] + boil.residual
    assert psnr(steady, clean) > psnr(mine[None], clean) + 4
    assert 0.95 < sharpness(steady, clean) < 1.1
    assert float(boil.explained / boil.change) > 0.3


def test_a_wrong_neighbour_is_not_listened_to():
    """One neighbour shows something else: without misfit and limit its ghost comes through, with them it does not."""
    clean = scene()
    mine, *others = clean + blurred_noises(0.02)
    others = torch.stack(others)
    others[3, :, 30:60, 40:80] += 0.15 * torch.sin(torch.arange(40) * 1.3)
    inside = (..., slice(34, 56), slice(44, 76))

    def error(options):
        boil = boiling(mine[None], around(others), options)
        return float((mine[None] + boil.residual - clean)[inside].square().mean().sqrt())

    assert error(TextureOptions()) < 0.85 * error(TextureOptions(misfit_share=0.0, limit=1e9))


def test_a_thin_thing_seen_once_stays():
    """A bright line of two pixels that passes: in this frame only, where texture boils."""
    clean = scene()
    mine, *others = clean + blurred_noises(0.015)
    mine = mine[None].clone()
    mine[..., 40:42, 20:100] += 0.35
    boil = boiling(mine, around(torch.stack(others)))
    assert float(boil.residual[..., 40:42, 24:96].mean()) > -0.03


def test_hidden_neighbours_have_no_say():
    mine, *others = scene() + blurred_noises(0.02)
    others, visible = torch.stack(others), torch.ones(4, 1, 96, 128)
    visible[..., :48] = 0
    boil = boiling(mine[None], around(others, visible=visible))
    assert float(boil.residual[..., 16:-16, :16].abs().max()) < 1e-3
    assert float(boil.residual[..., 80:].abs().max()) > 0.01


def test_near_frames_count_more_than_far_ones():
    """λ: with a share of 0 both count the same, with more the near one."""
    mine, *others = scene() + blurred_noises(0.02)
    near = others[1] - others[0]
    plain, placed = (
        boiling(mine[None], around(torch.stack(others)), TextureOptions(position_share=share)).residual
        for share in (0.0, 0.7)
    )
    assert float(((placed - plain) * near).mean()) > 0


def test_a_frame_at_the_edge_borrows_its_neighbours_boil():
    clean = scene()
    first, second, third, fourth, fifth = (clean + blurred_noises(0.02)).unbind()
    inner = boiling(third[None], around(torch.stack([first, second, fourth, fifth])))
    ones = torch.ones(2, 1, 96, 128)
    ahead = Neighbours((1, 2), torch.stack([second, third]), ones, 0.02 * ones[:1])
    assert boiling(first[None], ahead) is None
    edge = boiling_alike(first[None], ahead, inner)
    assert psnr(first[None] + edge.residual, clean) > psnr(first[None], clean) + 2
    assert edge.explained is inner.explained


def test_bands_go_down_to_tone():
    assert len(FLOORS) == LEVELS

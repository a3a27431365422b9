"""Guards: each trips on what it is there for, and on nothing else."""

import math

import pytest
import torch
import torch.nn.functional as F

from deflicker.metrics import guardrails as guards
from tests.correction.scenes import rng, texture

LUMA = 255 * texture(64, 96)[0]


def blurred(luma):
    return F.avg_pool2d(luma[None, None], 3, 1, 1, count_include_pad=False)[0, 0]


def sharpness(after):
    return guards.sharpness_ratio(guards.detail(LUMA)[None], guards.detail(after)[None]).item()


def test_psnr_by_hand():
    """An error of 2.55 levels everywhere is 1 % of the peak: 40 dB."""
    error = guards.squared_error(LUMA, LUMA + 2.55)
    assert guards.psnr(error[None]).item() == pytest.approx(40, abs=1e-3)
    assert guards.psnr(torch.zeros(3)).item() == guards.BEST_DB
    assert guards.psnr(torch.tensor([1e-4, 3e-4])).item() == pytest.approx(-10 * math.log10(2e-4))


def test_ssim_by_hand():
    """Flat pictures: only the means count, (2·100·110 + c₁) / (100² + 110² + c₁)."""
    flat = torch.full((32, 32), 100.0)
    c1 = 2.55**2
    expected = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    assert guards.ssim(flat, flat + 10).item() == pytest.approx(expected, abs=1e-3)


def test_ssim_is_kornia_s():
    from kornia.metrics import ssim

    after = LUMA + 5 * torch.randn(LUMA.shape, generator=rng(1))
    theirs = ssim(LUMA[None, None] / 255, after[None, None] / 255, 11)[..., 5:-5, 5:-5].mean()
    assert guards.ssim(LUMA, after).item() == pytest.approx(theirs.item(), abs=1e-3)


def test_ssim_falls_with_structure_and_is_1_for_equals():
    assert guards.ssim(LUMA, LUMA).item() == pytest.approx(1, abs=1e-5)
    assert guards.ssim(LUMA, blurred(blurred(LUMA))).item() < guards.ssim(LUMA, blurred(LUMA)).item() < 0.995
    assert guards.ssim(torch.ones(4, 5), torch.ones(4, 5)).item() == pytest.approx(1)


def test_changed_by_hand():
    before = torch.zeros(2, 4)
    after = before.clone()
    after[0, 0] = after[1, 1] = 1
    assert guards.changed_share(before, after).item() == 0.25


def test_detail_by_hand():
    """Columns 10, 20, 10, 20: squared steps of 100 across, none down, mean 15."""
    luma = torch.tensor([10.0, 20, 10, 20]).expand(4, 4)
    assert guards.detail(luma).item() == pytest.approx(100 / 225)


def test_blur_trips_sharpness_and_noise_does():
    assert sharpness(LUMA) == 1
    assert sharpness(blurred(LUMA)) < 0.9
    assert sharpness(LUMA + 4 * torch.randn(LUMA.shape, generator=rng(1))) > 1.1


@pytest.mark.parametrize("gain", [0.7, 0.95, 1.2])
def test_exposure_is_no_sharpness(gain):
    assert sharpness(LUMA * gain) == pytest.approx(1, abs=1e-4)


def test_one_odd_frame_does_not_decide():
    ratio = guards.sharpness_ratio(torch.tensor([1.0, 1.0, 100.0, 0.0]), torch.tensor([1.0, 0.9, 20.0, 3.0]))
    assert ratio.item() == pytest.approx(0.9)


def test_flat_pictures_have_no_sharpness():
    assert guards.sharpness_ratio(torch.zeros(2), torch.zeros(2)).isnan()


def test_motion_ratio_by_hand():
    """(1 + 0.1) / (2.1 + 0.1); jitter of a still picture is not frozen motion."""
    moved, slowed = torch.tensor([2.0, 2.2]), torch.tensor([1.0, 1.0])
    assert guards.motion_ratio(moved, slowed).item() == pytest.approx(0.5)
    assert guards.motion_ratio(torch.tensor([0.01]), torch.tensor([0.0])).item() > 0.9
    assert guards.motion_ratio(moved, moved).item() == 1


def test_exposure_by_hand():
    """From 0.5 to 0.55 in one cell; what is as large a factor in the dark counts less."""
    before = torch.full((1, 3, 16, 24), 0.5)
    after = before.clone()
    after[..., :8, 8:16] *= 1.1
    expected = math.log2((0.55**2.2 + 0.01) / (0.5**2.2 + 0.01))
    assert guards.exposure_change(before, after).item() == pytest.approx(expected, rel=1e-4)
    assert guards.exposure_change(after, before).item() == pytest.approx(expected, rel=1e-4)
    before[..., 8:, :], after[..., 8:, :] = 0.01, 0.03
    assert guards.exposure_change(before, after).item() == pytest.approx(expected, rel=1e-4)
    assert guards.exposure_change(before, before).item() == 0

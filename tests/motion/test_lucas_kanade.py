"""Sub-pixel motion found on made textures whose motion is known, and none found where there is only noise."""

import pytest
import torch
import torch.nn.functional as F

from deflicker.motion.lucas_kanade import even_luma, refine


def texture(shift_px, *, size=(72, 96), seed=0):
    """Smooth random luma `[1, 1, H, W]`, moved by (dx, dy): sampled from one fine grid, so the motion is exact."""
    generator = torch.Generator().manual_seed(seed)
    fine = F.interpolate(torch.rand(1, 1, 40, 40, generator=generator), size=(320, 320), mode="bicubic")
    y, x = torch.meshgrid(torch.arange(size[0]) + 60.0, torch.arange(size[1]) + 60.0, indexing="ij")
    grid = torch.stack([x - shift_px[0], y - shift_px[1]], -1)[None] * (2 / 319) - 1
    return F.grid_sample(fine, grid, align_corners=True, mode="bicubic").clamp(0, 1)


def inner(flow_px):
    return flow_px[..., 12:-12, 12:-12]


@pytest.mark.parametrize("motion", [(0.4, -0.7), (2.3, 1.6), (-5.5, 0.2)])
def test_a_rough_flow_becomes_exact(motion):
    first, second = even_luma(texture((0, 0))), even_luma(texture(motion))
    truth = torch.tensor(motion).view(1, 2, 1, 1).expand(1, 2, 72, 96)
    rough = truth + torch.tensor([0.5, -0.4]).view(1, 2, 1, 1)
    found = refine(first, second, rough)
    assert inner(found - truth).norm(dim=1).mean() < 0.1
    assert inner(rough - truth).norm(dim=1).mean() > 0.6


def test_light_that_changes_is_no_motion():
    still = texture((0, 0))
    found = refine(even_luma(still), even_luma(still * 0.8), torch.zeros(1, 2, 72, 96))
    assert inner(found).norm(dim=1).mean() < 0.02


def test_nothing_to_see_moves_nothing():
    flat = even_luma(torch.full((1, 1, 72, 96), 0.5))
    rough = torch.full((1, 2, 72, 96), 0.3)
    assert torch.equal(refine(flat, flat, rough), rough)


def test_noise_moves_little():
    generator = torch.Generator().manual_seed(1)
    first, second = (even_luma(0.5 + 0.02 * torch.randn(1, 1, 72, 96, generator=generator)) for _ in range(2))
    assert refine(first, second, torch.zeros(1, 2, 72, 96)).norm(dim=1).mean() < 0.25

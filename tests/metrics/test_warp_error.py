"""Warping error: Lai's formula on an example worked out by hand; flicker raises it, motion does not."""

import pytest
import torch

from deflicker.metrics.warp_error import ewarp_l1, ewarp_l1_to, ewarp_mse, lai_visible
from deflicker.motion.warp import warp
from tests.correction.scenes import links, pan


def flow(rows: list[list[tuple[float, float]]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).permute(2, 0, 1)[None]


def test_lai_s_mask_by_hand():
    """Four pixels in a row. ŵ = 1 px to the right everywhere, but 3 px at the last; w̃ comes back, but at pixel 1.

    Pixel 0 → 1, where the way back is (−3, 0): gap 4 > 0.01 (9 + 1) + 0.5, occluded.
    Pixel 1 → 2, back (−1, 0): gap 0, and |∇u|² = 0: visible.
    Pixel 2 → 3, back (−1, 0): gap 0, but u steps by 2 to the right: 4 > 0.01 + 0.002, a motion boundary.
    Pixel 3 → 6, outside.
    """
    forward = flow([[(1, 0), (1, 0), (1, 0), (3, 0)]] * 4)
    backward = flow([[(-1, 0), (-3, 0), (-1, 0), (-1, 0)]] * 4)
    assert lai_visible(forward, backward)[0, 0].tolist() == [[0, 1, 0, 0]] * 4


def test_slack_of_lai_s_mask():
    """A gap of 0.7 px passes, 0.72 px does not: 0.49 < 0.5 + … < 0.5184 where nothing moves."""
    still = torch.zeros(1, 2, 4, 4)
    for gap, visible in ((0.70, 1.0), (0.72, 0.0)):
        back = still.clone()
        back[:, 0] = gap
        assert lai_visible(still, back).mean() == visible


def test_ewarp_by_hand():
    """Mean over three visible pixels and three colours of (0.1)², (0.2)², 0: (0.01 + 0.04 + 0) / 3."""
    here = torch.full((1, 3, 1, 4), 0.5)
    brought = here + torch.tensor([0.1, -0.2, 0.0, 0.4])
    mask = torch.tensor([1.0, 1, 1, 0]).view(1, 1, 1, 4)
    assert ewarp_mse(here, brought, mask).item() == pytest.approx(0.05 / 3)
    assert ewarp_l1(here, brought, mask).item() == pytest.approx(0.1)
    assert ewarp_mse(here, brought, 0 * mask).item() == pytest.approx((0.05 + 0.16) / 4)


def test_one_colour_counts_a_third():
    here, brought = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    brought[:, 1] = 0.3
    assert ewarp_mse(here, brought, torch.ones(1, 1, 2, 2)).item() == pytest.approx(0.03)


def test_motion_alone_costs_nothing_and_flicker_its_square():
    frames = pan(2, 48, 64, step=(2, 1))
    forward, backward = links(frames, (2.0, 1.0))
    mask = lai_visible(forward, backward)
    assert mask.mean() > 0.9
    for gain in (1.0, 1.05, 1.1):
        found = ewarp_mse(frames[:1], warp(frames[1:] * gain, forward), mask).item()
        here = (frames[:1].square() * mask).sum() / mask.sum() / 3
        assert found == pytest.approx((gain - 1) ** 2 * float(here), rel=1e-3, abs=1e-9)


def test_to_a_far_frame():
    first, here = torch.full((2, 3, 8, 8), 0.5), torch.full((2, 3, 8, 8), 0.5)
    here[1] += 0.1
    still, visible = torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 8, 8)
    assert ewarp_l1_to(first, here, still, visible).tolist() == pytest.approx([0, 0.1])
    visible[..., 1:, :] = 0
    visible[..., 3:] = 0
    assert ewarp_l1_to(first, here, still, visible).isnan().all()

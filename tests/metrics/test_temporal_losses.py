"""Losses of temporal consistency: values one can check by hand, right derivatives, weights that weigh."""

import pytest
import torch

from deflicker.metrics.temporal_losses import flow_warp_loss, temporal_smoothness_loss
from tests.correction.scenes import global_noise, still

IMAGE = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(1, 1, 2, 2)
OTHER = torch.tensor([1.0, 0.0, 1.0, 4.0], dtype=torch.float64).view(1, 1, 2, 2)  # differences 0, 2, 3, 4
VISIBLE = torch.tensor([1.0, 1.0, 0.5, 0.0], dtype=torch.float64).view(1, 1, 2, 2)


def smoothness(values: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
    first, second = values.diff(dim=0), values.diff(n=2, dim=0)
    return temporal_smoothness_loss(first, second, torch.full_like(first, weight), torch.ones_like(second))


@pytest.mark.parametrize(
    ("visible", "power", "expected"),
    [(None, 1.0, 9 / 4), (None, 2.0, 29 / 4), (VISIBLE, 1.0, (2 + 1.5) / 2.5), (VISIBLE, 2.0, (4 + 4.5) / 2.5)],
)
def test_flow_warp_loss_by_hand(visible: torch.Tensor | None, power: float, expected: float) -> None:
    assert flow_warp_loss(IMAGE, OTHER, visible, power=power).tolist() == pytest.approx([expected])


def test_smoothness_by_hand() -> None:
    """First differences 1, 3, 0, second 2, -3."""
    values = torch.tensor([0.0, 1.0, 4.0, 4.0])
    assert smoothness(values, 0.5).item() == pytest.approx(0.5 * 10 + 13)
    first, second = values.diff(), values.diff(n=2)
    weights = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.5, 0.0])
    assert temporal_smoothness_loss(first, second, *weights).item() == pytest.approx(1 + 4.5 + 0.5 * 4)


def test_each_frame_has_its_own_loss() -> None:
    image, other = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    visible = (torch.rand(2, 1, 4, 5) > 0.5).float()
    expected = [(a - b)[:, m[0] > 0].abs().mean() for a, b, m in zip(image, other, visible, strict=True)]
    torch.testing.assert_close(flow_warp_loss(image, other, visible), torch.stack(expected))


def test_where_nothing_is_visible_all_pixels_count() -> None:
    image = torch.rand(3, 3, 4, 5)
    found = flow_warp_loss(image, image + 1, torch.zeros(3, 1, 4, 5))
    torch.testing.assert_close(found, torch.ones(3))


def test_a_trend_costs_no_curvature() -> None:
    ramp = torch.linspace(0, 1, 9)
    assert smoothness(ramp, 0.0).item() == pytest.approx(0, abs=1e-9)
    assert smoothness(ramp, 1.0).item() == pytest.approx(8 / 64)


def test_what_is_hidden_does_not_count() -> None:
    image, other = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    visible = torch.ones(2, 1, 4, 5)
    visible[..., 2, 3] = 0
    spoilt = other.clone()
    spoilt[..., 2, 3] = 1e3
    assert flow_warp_loss(image, spoilt, visible).equal(flow_warp_loss(image, other, visible))
    assert (flow_warp_loss(image, spoilt) > flow_warp_loss(image, other)).all()


def test_gradients() -> None:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    image, other = draw(4, 3, 2, 2), draw(4, 3, 2, 2)
    visible = torch.rand(4, 1, 2, 2, generator=random, dtype=torch.float64)
    for loss in (
        lambda a, b: flow_warp_loss(a, b, visible),
        lambda a, b: flow_warp_loss(a, b, visible, power=2.0),
        lambda a, b: smoothness(a + b.square(), 0.4),
    ):
        assert torch.autograd.gradcheck(loss, (image, other))


def test_flicker_costs_more_than_stillness() -> None:
    clean = still(8) + 1e-3 * torch.randn(8, 3, 48, 64, generator=torch.Generator().manual_seed(3))
    flickering = clean * global_noise(8, 0.1).exp()
    losses = [flow_warp_loss(each[1:], each[:-1]).mean() for each in (flickering, clean)]
    assert losses[0] > 10 * losses[1]
    assert smoothness(flickering) > 100 * smoothness(clean)

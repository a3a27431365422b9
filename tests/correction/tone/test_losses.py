"""The losses: values one can check by hand, right derivatives, weights that weigh."""

import math

import pytest
import torch

from deflicker.correction.tone.losses import (
    fidelity_loss,
    flow_warp_loss,
    reference_anchor_loss,
    temporal_smoothness_loss,
    tone_energy,
)
from tests.correction.scenes import global_noise, still

IMAGE = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(1, 1, 2, 2)
OTHER = torch.tensor([1.0, 0.0, 1.0, 4.0], dtype=torch.float64).view(1, 1, 2, 2)  # differences 0, 2, 3, 4
VISIBLE = torch.tensor([1.0, 1.0, 0.5, 0.0], dtype=torch.float64).view(1, 1, 2, 2)


def test_known_values():
    assert flow_warp_loss(IMAGE, OTHER).item() == pytest.approx(9 / 4)
    assert flow_warp_loss(IMAGE, OTHER, power=2.0).item() == pytest.approx(29 / 4)
    assert flow_warp_loss(IMAGE, OTHER, VISIBLE).item() == pytest.approx((0 + 2 + 1.5) / 2.5)
    assert flow_warp_loss(IMAGE, OTHER, VISIBLE, power=2.0).item() == pytest.approx((0 + 4 + 4.5) / 2.5)
    assert reference_anchor_loss(IMAGE, OTHER).item() == pytest.approx(29 / 4)
    assert reference_anchor_loss(IMAGE, OTHER, VISIBLE).item() == pytest.approx((0 + 4 + 4.5) / 2.5)
    assert fidelity_loss(IMAGE).item() == pytest.approx(85 / 4)
    assert fidelity_loss(IMAGE, VISIBLE).item() == pytest.approx((1 + 4 + 8) / 2.5)
    values = torch.tensor([0.0, 1.0, 4.0, 4.0])  # first differences 1, 3, 0; second 2, -3
    assert temporal_smoothness_loss(values, alpha=0.5).item() == pytest.approx(10 / 3 + 0.5 * 13 / 2)
    weight = torch.tensor([1.0, 1.0, 0.5, 0.0])  # pairs 1, 0.5, 0; triples 0.5, 0
    weighted = temporal_smoothness_loss(values, alpha=0.5, weight=weight).item()
    assert weighted == pytest.approx((1 + 4.5) / 1.5 + 0.5 * 4)


def test_tone_energy_by_hand():
    first, second, latent = torch.tensor([1.0, -2.0]), torch.tensor([3.0]), torch.tensor([0.5, 0.5])
    energy = tone_energy(
        first,
        second,
        latent,
        first_weight=torch.tensor([1.0, 0.25]),
        second_weight=torch.tensor([0.5]),
        first_order_share=0.1,
        fidelity_share=2.0,
    )
    assert energy.item() == pytest.approx(0.5 * 9 + 0.1 * (1 + 1) + 2 * 0.5)


def test_one_weight_serves_all_channels():
    image, other = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    visible = (torch.rand(2, 1, 4, 5) > 0.5).float()
    everywhere = visible.expand(2, 3, 4, 5) > 0
    expected = (image - other)[everywhere].abs().mean()
    torch.testing.assert_close(flow_warp_loss(image, other, visible), expected)


def test_zero_where_it_must_be():
    image = torch.rand(3, 3, 4, 5)
    assert flow_warp_loss(image, image) == 0
    assert reference_anchor_loss(image, image) == 0
    assert fidelity_loss(torch.zeros(3)) == 0
    assert temporal_smoothness_loss(image[:1].expand(5, -1, -1, -1)) == 0
    # Nothing to see, or nothing before it: no loss, and no division by zero.
    assert flow_warp_loss(image, image + 1, torch.zeros(3, 1, 4, 5)) == 0
    assert temporal_smoothness_loss(image[:1]) == 0
    assert temporal_smoothness_loss(image, weight=torch.zeros(3, 3, 4, 5)) == 0


def test_a_trend_costs_no_curvature():
    ramp = torch.linspace(0, 1, 9)
    costs = [temporal_smoothness_loss(ramp, alpha=alpha).item() for alpha in (0.0, 0.5)]
    assert costs == pytest.approx([1 / 64, 1 / 64])


def test_what_weighs_nothing_is_not_seen():
    image, other = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    visible = torch.ones(2, 1, 4, 5)
    visible[..., 2, 3] = 0
    spoilt = other.clone()
    spoilt[..., 2, 3] = 1e3
    assert flow_warp_loss(image, spoilt, visible) == flow_warp_loss(image, other, visible)
    assert flow_warp_loss(image, spoilt) > flow_warp_loss(image, other)
    values = torch.rand(6)
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    odd = values.clone()
    odd[4] = 1e3
    assert temporal_smoothness_loss(odd, weight=weight) == temporal_smoothness_loss(values, weight=weight)


def test_gradients():
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    image, other = draw(4, 3, 2, 2), draw(4, 3, 2, 2)
    visible = torch.rand(4, 1, 2, 2, generator=random, dtype=torch.float64)
    for loss in (
        lambda a, b: flow_warp_loss(a, b, visible),
        lambda a, b: flow_warp_loss(a, b, visible, power=2.0),
        lambda a, b: reference_anchor_loss(a, b, visible),
        lambda a, b: temporal_smoothness_loss(a + b.square(), alpha=0.4, weight=visible.expand(4, 3, 2, 2)),
        lambda a, b: fidelity_loss(a * b, visible),
    ):
        assert torch.autograd.gradcheck(loss, (image, other))

    def energy(first, second, latent):
        return tone_energy(
            first,
            second,
            latent,
            first_weight=torch.full((6,), 0.7).double(),
            second_weight=torch.full((4,), 0.3).double(),
            first_order_share=0.2,
            fidelity_share=0.1,
        )

    assert torch.autograd.gradcheck(energy, (draw(6), draw(4), draw(5)))


def test_flicker_costs_more_than_stillness():
    clean = still(8) + 1e-3 * torch.randn(8, 3, 48, 64, generator=torch.Generator().manual_seed(3))
    flickering = clean * global_noise(8, 0.1).exp()
    assert flow_warp_loss(flickering[1:], flickering[:-1]) > 10 * flow_warp_loss(clean[1:], clean[:-1])
    assert temporal_smoothness_loss(flickering) > 100 * temporal_smoothness_loss(clean)
    assert math.isclose(temporal_smoothness_loss(flickering + 0.1), temporal_smoothness_loss(flickering), rel_tol=1e-3)

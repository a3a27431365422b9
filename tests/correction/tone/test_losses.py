"""The losses: values one can check by hand, right derivatives, weights that weigh."""

import pytest
import torch

from deflicker.correction.tone.losses import (
    fidelity_loss,
    reference_anchor_loss,
    tone_energy,
)

IMAGE = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(1, 1, 2, 2)
OTHER = torch.tensor([1.0, 0.0, 1.0, 4.0], dtype=torch.float64).view(1, 1, 2, 2)  # differences 0, 2, 3, 4
VISIBLE = torch.tensor([1.0, 1.0, 0.5, 0.0], dtype=torch.float64).view(1, 1, 2, 2)


def test_known_values():
    assert reference_anchor_loss(IMAGE - OTHER, VISIBLE).item() == pytest.approx(0 + 4 + 4.5)
    assert fidelity_loss(IMAGE).item() == pytest.approx(85)
    assert fidelity_loss(IMAGE, VISIBLE).item() == pytest.approx(1 + 4 + 8)


def test_tone_energy_by_hand():
    first, second, latent = torch.tensor([1.0, -2.0]), torch.tensor([3.0]), torch.tensor([0.5, 0.5])
    energy = tone_energy(
        first,
        second,
        latent,
        first_weight=0.1 * torch.tensor([1.0, 0.25]),
        second_weight=torch.tensor([0.5]),
        fidelity_weight=2.0,
    )
    assert energy.item() == pytest.approx(0.5 * 9 + 0.1 * (1 + 1) + 2 * 0.5)


def test_zero_where_it_must_be():
    image = torch.rand(3, 3, 4, 5)
    assert reference_anchor_loss(image - image, image) == 0
    assert fidelity_loss(torch.zeros(3)) == 0


def test_gradients():
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    image, other = draw(4, 3, 2, 2), draw(4, 3, 2, 2)
    visible = torch.rand(4, 1, 2, 2, generator=random, dtype=torch.float64)
    for loss in (
        lambda a, b: reference_anchor_loss(a - b, visible),
        lambda a, b: fidelity_loss(a * b, visible),
    ):
        assert torch.autograd.gradcheck(loss, (image, other))

    def energy(first, second, latent):
        return tone_energy(
            first,
            second,
            latent,
            first_weight=torch.full((6,), 0.14).double(),
            second_weight=torch.full((4,), 0.3).double(),
            fidelity_weight=0.1,
        )

    assert torch.autograd.gradcheck(energy, (draw(6), draw(4), draw(5)))

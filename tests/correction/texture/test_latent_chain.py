"""The window's energy: its closed minimum against autograd, and cases known by hand."""

import pytest
import torch
from torch import Tensor

from deflicker.correction.texture.latent_chain import middle_weights

SHAPE = (2, 3)


def chain_energy(
    latents: Tensor, wanted: Tensor, seen: Tensor, links: Tensor, *, curvature: float, anchor: Tensor, pull: Tensor
) -> Tensor:
    """E(u), a scalar. latents x, wanted u: `[N, C, h, w]`; seen m `[N, h, w]`; links λ `[N − 1, h, w]`; anchor
    `[C, h, w]` with weight pull `[h, w]` on the middle one; curvature α."""
    fidelity = (seen[:, None] * (wanted - latents).square()).sum()
    steps = (links[:, None] * wanted.diff(dim=0).square()).sum()
    bends = (torch.minimum(links[1:], links[:-1])[:, None] * wanted.diff(n=2, dim=0).square()).sum()
    return fidelity + steps + curvature * bends + (pull * (wanted[len(wanted) // 2] - anchor).square()).sum()


def ones(count: int, value: float = 1.0) -> torch.Tensor:
    return torch.full((count, *SHAPE), value)


@pytest.mark.parametrize("count", [3, 5, 7])
def test_the_minimum_is_where_autograd_finds_it(count: int) -> None:
    rng = torch.Generator().manual_seed(count)
    latents = torch.randn(count, 4, *SHAPE, generator=rng, dtype=torch.float64)
    seen = torch.rand(count, *SHAPE, generator=rng, dtype=torch.float64)
    seen[count // 2] = 1
    links = 5 * torch.rand(count - 1, *SHAPE, generator=rng, dtype=torch.float64)
    links[0, 0] = 0
    anchor = torch.randn(4, *SHAPE, generator=rng, dtype=torch.float64)
    pull = torch.rand(SHAPE, generator=rng, dtype=torch.float64)
    weights, held = middle_weights(seen, links, curvature=0.7, pull=pull)
    found = (weights[:, None] * latents).sum(0) + held * anchor

    wanted = latents.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [wanted], max_iter=900, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def energy() -> torch.Tensor:
        solver.zero_grad()
        value = chain_energy(latents, wanted, seen, links, curvature=0.7, anchor=anchor, pull=pull)
        value.backward()
        return value

    solver.step(energy)
    torch.testing.assert_close(found, wanted.detach()[count // 2], atol=1e-5, rtol=0)


def test_the_energy_by_hand() -> None:
    """x = 0, u = (1, 2, 4): fidelity 21, steps 1 + 4, bend 1, anchor (2 − 5)²."""
    latents = torch.zeros(3, 1, 1, 1)
    wanted = torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1, 1)
    seen, links = torch.ones(3, 1, 1), torch.tensor([1.0, 2.0]).view(2, 1, 1)
    anchor, pull = torch.full((1, 1, 1), 5.0), torch.full((1, 1), 0.5)
    energy = chain_energy(latents, wanted, seen, links, curvature=10.0, anchor=anchor, pull=pull)
    assert float(energy) == 21 + (1 + 2 * 4) + 10 * 1 + 0.5 * 9


def test_no_links_leave_the_latent_exactly() -> None:
    weights, _ = middle_weights(ones(5), ones(4, 0), curvature=0.5)
    assert torch.equal(weights, torch.stack([ones(1)[0] * (k == 2) for k in range(5)]))


def test_stiff_links_give_the_mean_of_what_is_seen() -> None:
    seen = ones(5)
    seen[0] = 0
    links = ones(4, 1e6)
    links[0] = 0
    weights, _ = middle_weights(seen.double(), links.double(), curvature=0.0)
    torch.testing.assert_close(weights[:, 0, 0], torch.tensor([0, 0.25, 0.25, 0.25, 0.25]).double(), atol=1e-5, rtol=0)


def test_one_link_by_hand() -> None:
    """Two frames that are linked by λ = 1: u_0 = (2 x_0 + x_1) / 3."""
    links = ones(2, 0)
    links[1] = 1
    weights, _ = middle_weights(ones(3), links, curvature=0.0)
    torch.testing.assert_close(weights[:, 1, 2], torch.tensor([0, 2 / 3, 1 / 3]))


def test_weights_sum_to_one() -> None:
    rng = torch.Generator().manual_seed(1)
    weights, held = middle_weights(
        torch.cat([torch.rand(2, *SHAPE, generator=rng), ones(1), torch.rand(2, *SHAPE, generator=rng)]),
        9 * torch.rand(4, *SHAPE, generator=rng), curvature=0.3, pull=torch.rand(SHAPE, generator=rng),
    )  # fmt: skip
    torch.testing.assert_close(weights.sum(0) + held, torch.ones(SHAPE))


def test_nothing_passes_an_occlusion() -> None:
    links = ones(4, 3.0)
    links[1] = 0
    weights, _ = middle_weights(ones(5), links, curvature=0.4)
    assert torch.equal(weights[:2], torch.zeros(2, *SHAPE))

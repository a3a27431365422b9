"""LPIPS: the numbers of the lpips package, TCS and the drift's slope by hand."""

import os

import pytest
import torch

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.metrics.drift import coherence, slope
from deflicker.metrics.lpips import ALEXNET, CONVOLUTIONS, SMALLEST_PX, Perceptual, trunk_from_any
from tests.correction.scenes import still, texture

NAN = float("nan")


def random_trunk():
    torch.manual_seed(0)
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    return {
        name: tensor
        for place, (out, into, side) in shapes.items()
        for name, tensor in (
            (f"features.{place}.weight", torch.randn(out, into, side, side) / (into * side * side) ** 0.5),
            (f"features.{place}.bias", torch.zeros(out)),
        )
    }


@pytest.fixture(scope="module")
def network():
    return Perceptual(random_trunk())


@pytest.fixture(scope="module")
def trained():
    try:
        return Perceptual(weights.load(ALEXNET))
    except WeightsError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def lpips(network, first, second):
    return network.distance(network.features(first), network.features(second))


def test_it_is_what_the_lpips_package_computes(network):
    first, second = still(2, 72, 96), still(2, 72, 96, seed=1)
    theirs = network._network(first, second, normalize=True).flatten()
    assert lpips(network, first, second).tolist() == pytest.approx(theirs.tolist(), rel=1e-5)


def test_equals_are_no_distance_apart_and_order_is_no_matter(network):
    first, second = still(1, 72, 96), still(1, 72, 96, seed=1)
    assert lpips(network, first, first).item() == 0
    assert lpips(network, first, second).item() == pytest.approx(lpips(network, second, first).item())
    assert lpips(network, first, second).item() > 0


def test_small_pictures_are_enlarged(network):
    assert network.features(still(1, 16, 40))[0].shape == network.features(still(1, SMALLEST_PX, 160))[0].shape


def test_more_of_a_change_is_a_larger_distance(trained):
    """With the published weights: the numbers of torchvision's AlexNet under the package's heads."""
    clean = texture(96, 96)[None]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    found = [lpips(trained, clean, (clean + amount * noise).clamp(0, 1)).item() for amount in (0, 0.02, 0.05, 0.1)]
    assert found[0] == 0
    assert found == sorted(found)
    assert 0.1 < found[-1] < 1.5


def test_trunks_of_both_kinds():
    state = random_trunk()
    port = {}
    for number, place in enumerate(CONVOLUTIONS):
        port[f"AlexNet_0/Conv_{number}/kernel"] = state[f"features.{place}.weight"].permute(2, 3, 1, 0)
        port[f"AlexNet_0/Conv_{number}/bias"] = state[f"features.{place}.bias"]
    for other in (port, state | {"classifier.1.weight": torch.ones(1)}):
        found = trunk_from_any(other)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], state[name]) for name in state)


def test_tcs_by_hand():
    assert coherence(torch.tensor([0.1, NAN, 0.3])).item() == pytest.approx(0.8)
    assert coherence(torch.zeros(4)).item() == 1
    assert coherence(torch.tensor([NAN])).isnan()


def test_slope_by_hand():
    """Through (1, 0.1), (2, 0.2) and (4, 0.4) goes a line of slope 0.1."""
    lags = torch.tensor([1, 2, 4, 8])
    assert slope(lags, torch.tensor([0.1, 0.2, 0.4, NAN])).item() == pytest.approx(0.1)
    assert slope(lags, torch.full((4,), 0.2)).item() == pytest.approx(0)
    assert slope(lags, torch.tensor([0.1, NAN, NAN, NAN])).isnan()

"""The training of the texture stage's attention: data that can be had again, a loss that falls, runs that go on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from texture_training import fitting
from texture_training.flicker import KINDS
from texture_training.samples import CROP_PX, ROWS, Sample, store, stored

from deflicker.correction.texture.temporal_attention import TemporalAttention
from tests.correction.scenes import texture

IN_A_ROW = 3
SMALL = fitting.Recipe(width=8, steps=24, batch=1, rate=0.2, every=1000)


def boiling_samples(count: int) -> Sample:
    """Still crops with noise that is new in every row."""
    rng = torch.Generator().manual_seed(5)
    truth = torch.stack([texture(CROP_PX, CROP_PX, seed) for seed in range(count)])
    noise = 0.04 * torch.randn(count, IN_A_ROW, len(ROWS), 3, CROP_PX, CROP_PX, generator=rng)
    stack = truth[:, None, None] + noise

    def to_bytes(values: torch.Tensor) -> torch.Tensor:
        return (values.clamp(0, 1) * 255).round().to(torch.uint8)

    size = CROP_PX, CROP_PX
    return Sample(
        stack=to_bytes(stack),
        visible=torch.full((count, IN_A_ROW, len(ROWS), *size), 255, dtype=torch.uint8),
        error=torch.full((count, IN_A_ROW, *size), 5, dtype=torch.uint8),
        truth=to_bytes(truth[:, None].expand(-1, IN_A_ROW, -1, -1, -1)),
        flow_px=torch.zeros(count, IN_A_ROW - 1, 2, *size).half(),
        flow_visible=torch.full((count, IN_A_ROW - 1, *size), 255, dtype=torch.uint8),
    )


def loss_of(network: TemporalAttention, data: Sample) -> float:
    """The loss of one and the same batch."""
    batch = fitting.batch_of(data, torch.tensor([0]), torch.Generator().manual_seed(9), torch.device("cpu"))
    with torch.no_grad():
        return float(fitting.losses_of(network, batch, SMALL, 2, torch.full((3, 1), 0.5)).whole)


def test_a_short_training_lowers_its_loss() -> None:
    """Half of the neighbours show something else, which is quickly learnt."""
    data = boiling_samples(1)
    data.stack[:, :, 1::2] = data.stack[:, :, 1::2].flip(-1)
    under_way = fitting.Fitting(SMALL, torch.device("cpu"))
    before = loss_of(under_way.network, data)
    for _ in range(SMALL.steps):
        under_way.take_step(data)
    assert loss_of(under_way.network, data) < 0.9 * before


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data, checkpoint = boiling_samples(2), tmp_path / "one.checkpoint"
    whole = fitting.Fitting(SMALL, torch.device("cpu"))
    for _ in range(2):
        whole.take_step(data)
    whole.save(checkpoint)
    whole.take_step(data)
    again = fitting.Fitting(SMALL, torch.device("cpu"))
    again.resume(checkpoint)
    again.take_step(data)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_samples_come_back(tmp_path: Path) -> None:
    data = boiling_samples(2)
    parts = [Sample(**{name: values[row] for name, values in vars(data).items()}) for row in range(2)]
    store(tmp_path / "one.npz", parts)
    for name, values in vars(stored([tmp_path / "one.npz"])).items():
        assert torch.equal(values, getattr(data, name))


@pytest.mark.parametrize("kind", KINDS)
def test_flicker_is_drawn_from_its_seed(kind: str) -> None:
    clean = texture(48, 64).expand(4, -1, -1, -1)
    one, again, other = (KINDS[kind](clean, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert one.shape == clean.shape
    assert torch.equal(one, one.clamp(0, 1))
    assert not torch.equal(one, other)

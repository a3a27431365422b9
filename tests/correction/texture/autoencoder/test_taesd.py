"""The TAESD family: read off its weights, and refused where they do not fit."""

import pytest
import torch

from deflicker.correction.texture.autoencoder.taesd import Taesd
from tests.correction.texture.autoencoder.networks import halves


@pytest.mark.parametrize(("channels", "side_path"), [(4, False), (16, True)])
def test_sizes_and_channels(channels: int, side_path: bool) -> None:
    network = Taesd(*halves(channels=channels, side_path=side_path)).eval()
    latents = network.encode(torch.rand(2, 3, 24, 40))
    assert network.channels == channels
    assert latents.shape == (2, channels, 3, 5)
    assert network.decode(latents).shape == (2, 3, 24, 40)


def test_a_block_is_what_the_family_says() -> None:
    """relu(x + conv(relu(conv(relu(conv(x)))))), by hand, on the encoder's first two layers."""
    encoder, decoder = halves()
    network = Taesd(encoder, decoder)
    x = torch.rand(1, 3, 8, 8)
    convolve = torch.nn.functional.conv2d
    first = convolve(x, encoder["0.weight"], encoder["0.bias"], padding=1)
    inner = first
    for number in (0, 2, 4):
        inner = inner.relu() if number else inner
        inner = convolve(inner, encoder[f"1.conv.{number}.weight"], encoder[f"1.conv.{number}.bias"], padding=1)
    torch.testing.assert_close(network.encoder[1](network.encoder[0](x)), (first + inner).relu())


def test_inner_layers_may_have_less_precision() -> None:
    exact, short = Taesd(*halves()), Taesd(*halves()).in_arithmetic(torch.bfloat16)
    frames = torch.rand(1, 3, 16, 16)
    latents = exact.encode(frames)
    assert short.encode(frames).dtype == torch.float32
    torch.testing.assert_close(short.encode(frames), latents, atol=0.1, rtol=0.1)
    torch.testing.assert_close(short.decode(latents), exact.decode(latents), atol=0.1, rtol=0.1)


def without(weights: dict[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e, d: ({}, d), "no TAESD encoder"),
        (lambda e, d: (e, {"conv.weight": e["0.weight"]}), "not a weight of a TAESD decoder"),
        (lambda e, d: (without(e, "6."), d), "changes the size by 4, not by 8"),
        (lambda e, d: (e | {"1.conv.2.weight": e["1.conv.2.weight"][:, :3]}, d), "encoder layer 1: .*size mismatch"),
        (lambda e, d: (without(e, "1.conv.4.bias"), d), "encoder layer 1"),
        (lambda e, d: (e, halves(channels=5)[1]), "differ: 4 and 5 channels"),
        (lambda e, d: (e | {"0.weight": torch.zeros(8, 1, 3, 3)}, d), "made for 1 channels"),
        (lambda e, d: (e | {"0.weight": torch.zeros(8)}, d), "another shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(change, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Taesd(*change(*halves()))

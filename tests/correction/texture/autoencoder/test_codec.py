"""The contract around an autoencoder: sizes, tiles, and the residual that is exactly nothing where nothing changes."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.kl import AutoencoderKL
from deflicker.correction.texture.autoencoder.own import CHANNELS, GROUPS, TONE, OwnAutoencoder
from deflicker.correction.texture.autoencoder.taesd import Taesd
from tests.correction.scenes import texture
from tests.correction.texture.autoencoder.networks import halves, kl
from tests.fakes import watched


def own(*, trained: bool = False) -> Codec:
    torch.manual_seed(4)
    network = OwnAutoencoder().eval().requires_grad_(False)
    if trained:  # as far as it matters here: every layer does something
        for parameter in network.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return Codec("own", network, CHANNELS, GROUPS)


def taesd() -> Codec:
    return Codec("taesd", Taesd(*halves(side_path=False)).eval().requires_grad_(False), 4)


def diffused() -> Codec:
    return Codec("kl", AutoencoderKL(kl(), 4).eval().requires_grad_(False), 4, tile_px=64)


def frames(count: int = 1, height: int = 48, width: int = 72) -> Tensor:
    return torch.stack([texture(height, width, seed) for seed in range(count)])


@pytest.mark.parametrize("make", [own, taesd, diffused])
@pytest.mark.parametrize("size", [(48, 72), (45, 67), (1, 1), (8, 9)])
def test_any_size_comes_back(make, size: tuple[int, int]) -> None:
    codec = make()
    latents = codec.encode(torch.rand(2, 3, *size))
    assert latents.shape == (2, codec.channels, -(-size[0] // 8), -(-size[1] // 8))
    assert codec.decode(latents, size).shape == (2, 3, *size)


@pytest.mark.parametrize("make", [own, taesd, diffused])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_change_of_latents_is_no_change_at_all(make, dtype: torch.dtype) -> None:
    """y + D(z) − D(z) is y, bit for bit: without decoding, and with it, since both times the numbers are the same."""
    codec, image = make(), frames()
    network = codec.network.to(dtype) if make is own else codec.network.in_arithmetic(dtype)
    codec = Codec("x", network, codec.channels)
    latents = codec.encode(image)
    twice = codec.decode(latents.clone(), (48, 72)) - codec.decode(latents, (48, 72))
    assert torch.equal(image + twice, image)
    decoded: list[object] = []
    with watched(decoded.append, "Codec.decode"):
        assert torch.equal(image + codec.change(latents, latents.clone(), (48, 72)), image)
    assert not decoded


def test_what_the_autoencoder_loses_is_kept() -> None:
    """A change of one latent changes the picture around it and nowhere else, however bad the autoencoder is."""
    codec, image = taesd(), frames(height=96, width=128)
    latents = codec.encode(image)
    wanted = latents.clone()
    wanted[..., 6, 2] += 1
    change = codec.change(latents, wanted, (96, 128))
    assert change[..., 40:60, 8:32].abs().max() > 0.01
    assert torch.equal(change[..., 96:], torch.zeros_like(change[..., 96:]))


def test_tiles_make_no_difference() -> None:
    codec, image = own(trained=True), frames(height=272, width=400)
    whole = codec.encode(image)
    back = codec.decode(whole, (272, 400))
    codec = replace(codec, tile_px=128)
    torch.testing.assert_close(codec.encode(image), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(codec.decode(whole, (272, 400)), back, atol=1e-5, rtol=0)


def test_tiles_of_what_looks_at_everything_leave_no_edge() -> None:
    """Each tile of this network is lighter than the one before it; where they meet the step is spread over 48 px."""

    class Counting:
        def __init__(self) -> None:
            self.calls = 0

        def encode(self, frames: Tensor) -> Tensor:
            raise NotImplementedError

        def decode(self, latents: Tensor) -> Tensor:
            self.calls += 1
            return torch.full((1, 3, 8 * latents.shape[-2], 8 * latents.shape[-1]), float(self.calls))

    found = Codec("x", Counting(), 1, tile_px=200).decode(torch.zeros(1, 1, 20, 50), (160, 400))
    steps = found[0, 0].diff(dim=-1)
    assert torch.equal(found[..., :176], torch.ones(1, 3, 160, 176))
    assert torch.equal(found[..., 224:], torch.full((1, 3, 160, 176), 2.0))
    torch.testing.assert_close(steps[:, 176:223], torch.full((160, 47), 1 / 48))


def test_tone_is_in_three_channels() -> None:
    """A region's change of light that is smooth over a cell leaves all but a few hundredths of texture's energy."""
    codec, image = own(), frames()
    lit = image * 0.5 + 0.2
    before, after = codec.encode(image), codec.encode(lit)
    torch.testing.assert_close(after[:, :TONE], before[:, :TONE] * 0.5 + 0.2)
    torch.testing.assert_close(after[:, TONE:], before[:, TONE:] * 0.5, atol=1e-4, rtol=1e-3)


def test_the_lapped_transform_gives_smooth_pictures_back() -> None:
    """Before any training: the frequencies it keeps are all that a smooth picture has."""
    codec = own()
    grey = torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(2))
    image = torch.nn.functional.interpolate(grey, size=(96, 128), mode="bicubic").expand(-1, 3, -1, -1)
    error = (codec.decode(codec.encode(image), (96, 128)) - image)[..., 16:-16, 16:-16]
    assert float(error.square().mean().sqrt()) < 0.004

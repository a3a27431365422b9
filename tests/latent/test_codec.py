"""The contract around an autoencoder: sizes, tiles, and the residual that is exactly nothing where nothing changes."""

import pytest
import torch
from torch import Tensor

from deflicker.latent import codec as codec_module
from deflicker.latent.codec import Codec
from deflicker.latent.own import CHANNELS, GROUPS, TONE, OwnAutoencoder
from deflicker.latent.taesd import Taesd
from tests.correction.scenes import texture
from tests.latent.networks import halves


def own(*, trained: bool = False) -> Codec:
    torch.manual_seed(4)
    network = OwnAutoencoder().eval().requires_grad_(False)
    if trained:  # as far as it matters here: every layer does something
        for parameter in network.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return Codec("own", network, CHANNELS, GROUPS)


def taesd() -> Codec:
    return Codec("taesd", Taesd(*halves(side_path=False)).eval().requires_grad_(False), 4)


def frames(count: int = 1, height: int = 48, width: int = 72) -> Tensor:
    return torch.stack([texture(height, width, seed) for seed in range(count)])


@pytest.mark.parametrize("make", [own, taesd])
@pytest.mark.parametrize("size", [(48, 72), (45, 67), (1, 1), (8, 9)])
def test_any_size_comes_back(make, size: tuple[int, int]) -> None:
    codec = make()
    latents = codec.encode(torch.rand(2, 3, *size))
    assert latents.shape == (2, codec.channels, -(-size[0] // 8), -(-size[1] // 8))
    assert codec.decode(latents, size).shape == (2, 3, *size)


@pytest.mark.parametrize("make", [own, taesd])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_change_of_latents_is_no_change_at_all(make, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """y + D(z) − D(z) is y, bit for bit: without decoding, and with it, since both times the numbers are the same."""
    codec, image = make(), frames()
    network = codec.network.in_arithmetic(dtype) if isinstance(codec.network, Taesd) else codec.network.to(dtype)
    codec = Codec("x", network, codec.channels)
    latents = codec.encode(image)
    twice = codec.decode(latents.clone(), (48, 72)) - codec.decode(latents, (48, 72))
    assert torch.equal(image + twice, image)
    monkeypatch.setattr(Codec, "decode", None)  # nothing is decoded
    assert torch.equal(image + codec.change(latents, latents.clone(), (48, 72)), image)


def test_what_the_autoencoder_loses_is_kept() -> None:
    """A change of one latent changes the picture around it and nowhere else, however bad the autoencoder is."""
    codec, image = taesd(), frames(height=96, width=128)
    latents = codec.encode(image)
    wanted = latents.clone()
    wanted[..., 6, 2] += 1
    change = codec.change(latents, wanted, (96, 128))
    assert change[..., 40:60, 8:32].abs().max() > 0.01
    assert torch.equal(change[..., 96:], torch.zeros_like(change[..., 96:]))


def test_tiles_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, image = own(trained=True), frames(height=272, width=400)
    whole = codec.encode(image)
    back = codec.decode(whole, (272, 400))
    monkeypatch.setattr(codec_module, "_TILE_PX", 128)
    torch.testing.assert_close(codec.encode(image), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(codec.decode(whole, (272, 400)), back, atol=1e-5, rtol=0)


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

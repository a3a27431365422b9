"""AutoencoderKL: read off its weights, part by part what it should be, whole as diffusers has it."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.texture.autoencoder.kl import AutoencoderKL
from tests.correction.texture.autoencoder.networks import in_old_names, kl

GROUPS = 4
FRAMES = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(3))


def network(weights: dict[str, Tensor]) -> AutoencoderKL:
    return AutoencoderKL(weights, GROUPS).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("channels", "attends", "around"), [(4, True, True), (16, True, False), (32, False, True), (1, False, False)]
)
def test_sizes_and_channels(channels: int, attends: bool, around: bool) -> None:
    made = network(kl(channels=channels, attends=attends, around=around))
    latents = made.encode(FRAMES)
    assert made.channels == channels
    assert latents.shape == (2, channels, 3, 5)
    assert made.decode(latents).shape == FRAMES.shape


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Group normalisation (Wu and He, ECCV 2018, equation 1), a group at a time."""
    found = torch.empty_like(x)
    for n in range(len(x)):
        for part in torch.arange(x.shape[1]).chunk(GROUPS):
            values = x[n, part]
            found[n, part] = (values - values.mean()) / (values.var(unbiased=False) + 1e-6).sqrt()
    return found * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)


def test_a_block_is_what_it_should_be() -> None:
    weights = kl()
    block = network(weights).decoder.up_blocks[2].resnets[0]
    at = {name.removeprefix("decoder.up_blocks.2.resnets.0."): tensor for name, tensor in weights.items()}
    x = torch.rand(2, 16, 6, 5)
    inner = x
    for number in ("1", "2"):
        inner = normalised(inner, at[f"norm{number}.weight"], at[f"norm{number}.bias"])
        inner = inner * torch.sigmoid(inner)
        inner = F.conv2d(inner, at[f"conv{number}.weight"], at[f"conv{number}.bias"], padding=1)
    beside = torch.einsum("oi,nihw->nohw", at["conv_shortcut.weight"][..., 0, 0], x)
    torch.testing.assert_close(block(x), beside + at["conv_shortcut.bias"].view(-1, 1, 1) + inner)


def test_attention_is_what_it_should_be() -> None:
    """x + W_o softmax(q · k ∕ √C) v at every place, place by place."""
    weights = kl()
    attention = network(weights).encoder.mid_block.attentions[0]
    at = {name.removeprefix("encoder.mid_block.attentions.0."): tensor for name, tensor in weights.items()}
    x = torch.rand(1, 16, 2, 3)
    normal = normalised(x, at["group_norm.weight"], at["group_norm.bias"])
    places = [normal[0, :, row, column] for row in range(2) for column in range(3)]
    query, key, value = ([at[f"to_{k}.weight"] @ p + at[f"to_{k}.bias"] for p in places] for k in "qkv")
    wanted = x.clone()
    for number in range(6):
        shares = torch.stack([query[number] @ each / 16**0.5 for each in key]).softmax(0)
        mean = sum(share * each for share, each in zip(shares, value, strict=True))
        wanted[0, :, number // 3, number % 3] += at["to_out.0.weight"] @ mean + at["to_out.0.bias"]
    torch.testing.assert_close(attention(x), wanted)


def test_sizes_change_where_and_as_they_should() -> None:
    """Halving sees a border of zeros on the right and below alone; enlarging repeats each feature."""
    weights = kl()
    made, x = network(weights), torch.rand(1, 8, 4, 6)
    down = made.encoder.down_blocks[0].downsamplers[0].conv.weight
    halved = network(weights).encoder.down_blocks[0]
    inner = halved.resnets[0](x)
    bias = weights["encoder.down_blocks.0.downsamplers.0.conv.bias"]
    corner = torch.einsum("oiyx,iyx->o", down[:, :, :2, :2], inner[0, :, 2:4, 4:6]) + bias
    torch.testing.assert_close(halved(x)[0, :, 1, 2], corner)
    assert halved(x).shape == (1, 8, 2, 3)
    up = made.decoder.up_blocks[1]
    y = torch.rand(1, 16, 2, 3)
    inner = up.resnets[1](up.resnets[0](y)).repeat_interleave(2, -1).repeat_interleave(2, -2)
    at = "decoder.up_blocks.1.upsamplers.0.conv"
    torch.testing.assert_close(up(y), F.conv2d(inner, weights[f"{at}.weight"], weights[f"{at}.bias"], padding=1))


def test_the_latent_is_the_mean_and_the_variance_is_nothing_to_it() -> None:
    weights = kl(around=False)
    changed = weights | {
        "encoder.conv_out.bias": weights["encoder.conv_out.bias"] + torch.tensor([0.0] * 4 + [9.0] * 4)
    }
    assert torch.equal(network(changed).encode(FRAMES), network(weights).encode(FRAMES))


def test_frames_are_from_0_to_1_and_it_works_from_minus_1_to_1() -> None:
    made = network(kl())
    half = torch.full((1, 3, 16, 16), 0.5)
    moments = made.quant_conv(made.encoder(torch.zeros(1, 3, 16, 16), torch.float32))
    torch.testing.assert_close(made.encode(half), moments[:, :4])
    latents = made.encode(FRAMES)
    drawn = made.decoder(made.post_quant_conv(latents), torch.float32)
    torch.testing.assert_close(made.decode(latents), drawn / 2 + 0.5)


def test_old_names_are_the_same_network() -> None:
    weights = kl()
    assert torch.equal(network(in_old_names(weights)).encode(FRAMES), network(weights).encode(FRAMES))


def test_inner_layers_may_have_less_precision() -> None:
    exact, short = network(kl()), network(kl()).in_arithmetic(torch.bfloat16)
    latents = exact.encode(FRAMES)
    assert short.encode(FRAMES).dtype == torch.float32
    torch.testing.assert_close(short.encode(FRAMES), latents, atol=0.1, rtol=0.1)
    torch.testing.assert_close(short.decode(latents), exact.decode(latents), atol=0.1, rtol=0.1)


@pytest.mark.parametrize(
    ("channels", "groups", "attends", "around"), [(4, 4, True, True), (16, 2, True, False), (8, 8, False, True)]
)
def test_it_is_the_network_of_diffusers(channels: int, groups: int, attends: bool, around: bool) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(1)
    theirs = diffusers.AutoencoderKL(
        block_out_channels=(8, 16, 16, 24),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        norm_num_groups=groups,
        mid_block_add_attention=attends,
        use_quant_conv=around,
        use_post_quant_conv=around,
    ).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    ours = AutoencoderKL(theirs.state_dict(), groups).eval()
    with torch.no_grad():
        latents = theirs.encode(2 * FRAMES - 1).latent_dist.mode()
        torch.testing.assert_close(ours.encode(FRAMES), latents, atol=1e-5, rtol=1e-4)
        drawn = theirs.decode(latents).sample / 2 + 0.5
        torch.testing.assert_close(ours.decode(latents), drawn, atol=1e-5, rtol=1e-4)


def without(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if part not in name}


SHORT = "encoder.down_blocks.3.resnets.0.conv2.weight"
DEEP = torch.zeros(8, 3, 3, 3, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: without(w, "encoder.conv_in"), "lacks encoder.conv_in.weight"),
        (lambda w: without(w, "mid_block.resnets.1.norm2.bias"), "lacks encoder.mid_block.resnets.1.norm2.bias"),
        (lambda w: without(w, "attentions.0.to_k.bias"), "lacks encoder.mid_block.attentions.0.to_k.bias"),
        (lambda w: without(w, "down_blocks.2.downsamplers"), "its encoder changes the size by 4, not by 8"),
        (lambda w: without(w, "up_blocks."), "its decoder changes the size by 1, not by 8"),
        (lambda w: w | {"decoder.up_blocks.3.upsamplers.0.conv.weight": torch.zeros(8, 8, 3, 3)}, "by 16, not by 8"),
        (lambda w: w | {SHORT: w[SHORT][:, :5]}, "channels do not make 4 groups"),
        (lambda w: w | {"encoder.conv_norm_out.bias": torch.zeros(3)}, "encoder.conv_norm_out.bias is 3, not 16"),
        (lambda w: w | {"encoder.conv_in.weight": DEEP}, "not a 2-D convolution kernel: 8 × 3 × 3 × 3 × 3"),
        (lambda w: w | {"bn.running_mean": torch.zeros(4)}, "bn.running_mean, which is not part of an AutoencoderKL"),
        (lambda w: w | {"encoder.conv_in.weight": torch.zeros(8, 1, 3, 3)}, "made for 1 channels in and 3 out"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(change: Callable[[dict[str, Tensor]], dict[str, Tensor]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AutoencoderKL(change(kl()), GROUPS)


def test_halves_of_different_networks_are_said() -> None:
    parts = kl(channels=2, around=False).items()
    mixed = kl(around=False) | {name: tensor for name, tensor in parts if name.startswith("encoder")}
    with pytest.raises(ValueError, match="gives 4 channels, mean and variance together, and its decoder takes 4"):
        AutoencoderKL(mixed, GROUPS)

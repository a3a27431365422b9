"""Autoencoders of the TAESD family and AutoencoderKL with random weights, small enough to make and to store."""

import torch
from torch import Tensor


def halves(*, wide: int = 8, channels: int = 4, side_path: bool = False) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of an encoder and a decoder as the family stores them: two blocks at each size."""
    rng = torch.Generator().manual_seed(3)

    def convolution(name: str, out: int, into: int, *, bias: bool = True, side: int = 3) -> dict[str, Tensor]:
        weight = torch.randn(out, into, side, side, generator=rng) / (into * side * side) ** 0.5
        return {f"{name}.weight": weight} | ({f"{name}.bias": 0.1 * torch.randn(out, generator=rng)} if bias else {})

    def block(number: int) -> dict[str, Tensor]:
        layers: dict[str, Tensor] = {}
        for inner in (0, 2, 4):
            layers |= convolution(f"{number}.conv.{inner}", wide, wide)
        if side_path:
            layers |= convolution(f"{number}.pool.0", 4 * wide, wide, bias=False, side=1)
            layers |= convolution(f"{number}.pool.3", wide, 4 * wide, bias=False, side=1)
            layers |= {f"{number}.pool.1.weight": torch.ones(4 * wide), f"{number}.pool.1.bias": torch.zeros(4 * wide)}
        return layers

    encoder = convolution("0", wide, 3) | block(1)
    for number in (2, 4, 6):
        encoder |= convolution(f"{number}", wide, wide, bias=False) | block(number + 1)
    encoder |= convolution("8", channels, wide)
    # 0 is a clamp and 2 a rectifier; 4, 7 and 10 enlarge.
    decoder = convolution("1", wide, channels) | block(3)
    for number in (5, 8, 11):
        decoder |= convolution(f"{number}", wide, wide, bias=False) | block(number + 1)
    return encoder, decoder | convolution("13", 3, wide)


def as_diffusers(encoder: dict[str, Tensor], decoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in the layout of AutoencoderTiny, whose decoder has no clamp among its layers."""

    def earlier(name: str) -> str:
        number, rest = name.split(".", 1)
        return f"{int(number) - 1}.{rest}"

    found = {f"encoder.layers.{name}": tensor for name, tensor in encoder.items()}
    return found | {f"decoder.layers.{earlier(name)}": tensor for name, tensor in decoder.items()}


def kl(*, channels: int = 4, attends: bool = True, around: bool = True) -> dict[str, Tensor]:
    """Weights of an AutoencoderKL in diffusers' layout, 8 to 16 features wide, one block a level on the way down.

    around: whether 1 × 1 convolutions surround the latents.
    """
    rng = torch.Generator().manual_seed(7)
    wide, weights = (8, 12, 16, 16), {}

    def convolution(name: str, narrow: int, out: int, side: int = 3) -> None:
        weights[f"{name}.weight"] = torch.randn(out, narrow, side, side, generator=rng) / (side * narrow**0.5)
        weights[f"{name}.bias"] = 0.1 * torch.randn(out, generator=rng)

    def vectors(name: str, *shape: int) -> None:
        weights[f"{name}.weight"] = torch.randn(*shape, generator=rng) / shape[-1] ** 0.5
        weights[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=rng)

    def block(name: str, narrow: int, out: int) -> None:
        vectors(f"{name}.norm1", narrow)
        convolution(f"{name}.conv1", narrow, out)
        vectors(f"{name}.norm2", out)
        convolution(f"{name}.conv2", out, out)
        if narrow != out:
            convolution(f"{name}.conv_shortcut", narrow, out, 1)

    for half, blocks, change, count, sides in (
        ("encoder", "down_blocks", "downsamplers", 1, wide),
        ("decoder", "up_blocks", "upsamplers", 2, wide[::-1]),
    ):
        begun = 3 if half == "encoder" else channels
        convolution(f"{half}.conv_in", begun, sides[0])
        for level, (narrow, out) in enumerate(zip((sides[0], *sides), sides, strict=False)):
            for number in range(count):
                block(f"{half}.{blocks}.{level}.resnets.{number}", out if number else narrow, out)
            if level < 3:
                convolution(f"{half}.{blocks}.{level}.{change}.0.conv", out, out)
        for number in (0, 1):
            block(f"{half}.mid_block.resnets.{number}", wide[-1], wide[-1])
        if attends:
            vectors(f"{half}.mid_block.attentions.0.group_norm", wide[-1])
            for layer in ("to_q", "to_k", "to_v", "to_out.0"):
                vectors(f"{half}.mid_block.attentions.0.{layer}", wide[-1], wide[-1])
        vectors(f"{half}.conv_norm_out", sides[-1])
        convolution(f"{half}.conv_out", sides[-1], 2 * channels if half == "encoder" else 3)
    if around:
        convolution("quant_conv", 2 * channels, 2 * channels, 1)
        convolution("post_quant_conv", channels, channels, 1)
    return weights


def in_old_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same as diffusers wrote it before 0.18; attention as 1 × 1 convolutions, as the first files had it."""
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    found = {}
    for name, tensor in weights.items():
        for new, old in names.items():
            if f".{new}." in name:
                name = name.replace(f".{new}.", f".{old}.")
                tensor = tensor[..., None, None] if tensor.ndim == 2 else tensor
        found[name] = tensor
    return found

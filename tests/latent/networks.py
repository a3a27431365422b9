"""Autoencoders of the TAESD family with random weights, small enough to make and to store."""

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

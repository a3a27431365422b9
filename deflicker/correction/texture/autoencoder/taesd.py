"""Networks of the TAESD family (madebyollin/taesd; `AutoencoderTiny` in diffusers), built from their weights' names.

A sequence of blocks of three convolutions with rectifiers, strided convolutions on the way down and nearest neighbours
on the way up. How many blocks, how many channels and whether a block has a normalised side path (TAEF2) is read off the
table of weights, so every member of the family loads, whatever its latents.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Taesd(nn.Module):
    """`[N, 3, H, W]` R'G'B' in [0, 1] ⇄ `[N, C, H/8, W/8]`."""

    def __init__(self, encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> None:
        """Raises ValueError, with what does not fit, where these are not the two halves of such a network."""
        super().__init__()
        self.encoder = _layers(encoder, "encoder")
        self.decoder = _layers(decoder, "decoder")
        reads, gives = _widths(self.encoder), _widths(self.decoder)
        if (reads[0], gives[1]) != (3, 3):
            raise ValueError(f"it is made for {reads[0]} channels in and {gives[1]} out, not for R'G'B'")
        if reads[1] != gives[0]:
            raise ValueError(f"encoder and decoder differ: {reads[1]} and {gives[0]} channels")
        self.channels = reads[1]
        self._dtype = torch.float32

    def encode(self, frames: Tensor) -> Tensor:
        features = self.encoder[0](frames).to(self._dtype)
        for layer in self.encoder[1:-1]:
            features = layer(features)
        latents: Tensor = self.encoder[-1](features.to(frames))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        features = F.relu(self.decoder[0](torch.tanh(latents / 3) * 3)).to(self._dtype)
        for layer in self.decoder[1:-1]:
            features = F.interpolate(features, scale_factor=2) if isinstance(layer, nn.Conv2d) else features
            features = layer(features)
        frames: Tensor = self.decoder[-1](features.to(latents))
        return frames

    def in_arithmetic(self, dtype: torch.dtype) -> Taesd:
        """All but the first and last layers in `dtype`: what goes in and comes out keeps its precision."""
        for half in (self.encoder, self.decoder):
            for layer in half[1:-1]:
                layer.to(dtype)
        self._dtype = dtype
        return self


class _Block(nn.Module):
    """relu(x + three convolutions), with a side path around them where the weights have one."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        wide, narrow = weights["conv.0.weight"].shape[:2]
        three = [nn.Conv2d(a, wide, 3, padding=1) for a in (narrow, wide, wide)]
        self.conv = nn.Sequential(three[0], nn.ReLU(), three[1], nn.ReLU(), three[2])
        self.skip = nn.Conv2d(narrow, wide, 1, bias=False) if "skip.weight" in weights else nn.Identity()
        self.pool: nn.Module | None = None
        if "pool.0.weight" in weights:
            inner = weights["pool.0.weight"].shape[0]
            there, back = (nn.Conv2d(a, b, 1, bias=False) for a, b in ((narrow, inner), (inner, narrow)))
            self.pool = nn.Sequential(there, nn.GroupNorm(4, inner), nn.ReLU(), back)

    def forward(self, features: Tensor) -> Tensor:
        if self.pool is not None:
            features = features + self.pool(features)
        return F.relu(self.conv(features) + self.skip(features))


def _layers(weights: Mapping[str, Tensor], half: str) -> nn.ModuleList:
    """The layers that have weights, in order. Raises ValueError where they do not make such a half."""
    parts: dict[int, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        place, _, rest = name.partition(".")
        if not place.isdecimal() or not rest:
            raise ValueError(f"{name!r} is not a weight of a TAESD {half}")
        parts.setdefault(int(place), {})[rest] = tensor
    order = sorted(parts)
    plain = [number for number in order if "weight" in parts[number]]
    if len(order) < 3 or plain[:1] != order[:1] or plain[-1:] != order[-1:] or "conv.0.weight" not in parts[order[1]]:
        raise ValueError(f"it holds no TAESD {half}")
    if len(plain) != 5:
        raise ValueError(f"its {half} changes the size by {2 ** (len(plain) - 2)}, not by 8")
    layers = nn.ModuleList()
    for number in order:
        shrinks = half == "encoder" and number in plain[1:-1]
        layer = _convolution(parts[number], 2 if shrinks else 1) if number in plain else _Block(parts[number])
        _fill(layer, parts[number], f"{half} layer {number}")
        layers.append(layer)
    return layers


def _widths(layers: nn.ModuleList) -> tuple[int, int]:
    """Channels that go in and come out."""
    first, last = layers[0], layers[-1]
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Conv2d):
        raise ValueError("it does not begin and end with a convolution")
    return first.in_channels, last.out_channels


def _convolution(weights: Mapping[str, Tensor], stride: int) -> nn.Conv2d:
    if weights["weight"].ndim != 4:
        raise ValueError("a weight of a convolution has another shape")
    wide, narrow = weights["weight"].shape[:2]
    return nn.Conv2d(narrow, wide, 3, stride, padding=1, bias="bias" in weights)


def _fill(layer: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    try:
        layer.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"{where}: {str(error).splitlines()[-1].strip()}") from None

"""diffusers' `AutoencoderKL` (Rombach et al., CVPR 2022, section 3.1), built from the names of its weights.

Residual blocks with group normalisation at four sizes, one head of attention over the smallest, strided convolutions on
the way down and nearest neighbours on the way up. The mean of the posterior is the latent: nothing is drawn at random.
How many blocks, how wide, whether there is attention and whether 1 × 1 convolutions surround the latents is read off
the table of weights; how many groups the normalisations have is not in it.

Normalisation and attention look at all of what goes in at once, so a tile is not drawn quite as it is in the whole
frame (docs/results/latent.md has it measured).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32
"""Of the normalisations, where nothing else is known."""
_EPSILON = 1e-6
_OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Layers of the attention as they were named in files of diffusers before 0.18, and as they are."""


class AutoencoderKL(nn.Module):
    """`[N, 3, H, W]` R'G'B' in [0, 1] ⇄ `[N, C, H/8, W/8]`."""

    def __init__(self, weights: Mapping[str, Tensor], groups: int = GROUPS) -> None:
        """Raises ValueError, with what does not fit, where these are not the weights of such a network."""
        super().__init__()
        weights = dict(_as_now(name, tensor) for name, tensor in weights.items())
        self.encoder, self.decoder = _Half(weights, "encoder", groups), _Half(weights, "decoder", groups)
        self.quant_conv = _side_path(weights, "quant_conv")
        self.post_quant_conv = _side_path(weights, "post_quant_conv")
        _fill(self, weights)
        reads, gives = self.encoder.conv_in.in_channels, self.decoder.conv_out.out_channels
        if (reads, gives) != (3, 3):
            raise ValueError(f"it is made for {reads} channels in and {gives} out, not for R'G'B'")
        after = self.quant_conv or self.encoder.conv_out
        before = self.post_quant_conv or self.decoder.conv_in
        if after.out_channels != 2 * before.in_channels:
            raise ValueError(
                f"its encoder gives {after.out_channels} channels, mean and variance together, and its decoder takes "
                f"{before.in_channels}"
            )
        self.channels = before.in_channels
        self._dtype = torch.float32

    def encode(self, frames: Tensor) -> Tensor:
        moments: Tensor = self.encoder(2 * frames - 1, self._dtype)
        if self.quant_conv is not None:
            moments = self.quant_conv(moments)
        return moments[:, : self.channels]

    def decode(self, latents: Tensor) -> Tensor:
        if self.post_quant_conv is not None:
            latents = self.post_quant_conv(latents)
        frames: Tensor = self.decoder(latents, self._dtype)
        return (frames + 1) / 2

    def in_arithmetic(self, dtype: torch.dtype) -> AutoencoderKL:
        """All but the outermost layers in `dtype`: what goes in and comes out keeps its precision."""
        for half in (self.encoder, self.decoder):
            for layer in half.inner():
                layer.to(dtype)
        self._dtype = dtype
        return self


class _Half(nn.Module):
    """An encoder or a decoder."""

    def __init__(self, weights: Mapping[str, Tensor], half: Literal["encoder", "decoder"], groups: int) -> None:
        super().__init__()
        self._down = half == "encoder"
        self.conv_in = _convolution(weights, f"{half}.conv_in")
        self.mid_block = _Middle(weights, f"{half}.mid_block", groups)
        levels = _levels(weights, half, groups)
        self.down_blocks = levels if self._down else None
        self.up_blocks = None if self._down else levels
        self.conv_out = _convolution(weights, f"{half}.conv_out")
        self.conv_norm_out = _normalisation(groups, self.conv_out.in_channels)

    def inner(self) -> list[nn.Module]:
        """The layers between the first and the last, in order."""
        if self._down:
            return [*(self.down_blocks or ()), self.mid_block]
        return [self.mid_block, *(self.up_blocks or ())]

    def forward(self, image: Tensor, dtype: torch.dtype) -> Tensor:
        features: Tensor = self.conv_in(image).to(dtype)
        for layer in self.inner():
            features = layer(features)
        found: Tensor = self.conv_out(F.silu(self.conv_norm_out(features.to(image))))
        return found


class _Level(nn.Module):
    """Residual blocks of one size, and the change to the next one."""

    def __init__(self, weights: Mapping[str, Tensor], prefix: str, groups: int) -> None:
        super().__init__()
        self.resnets = _blocks(weights, f"{prefix}.resnets", groups)
        self.downsamplers = _resamplers(weights, f"{prefix}.downsamplers", stride=2)
        self.upsamplers = _resamplers(weights, f"{prefix}.upsamplers", stride=1)

    def forward(self, features: Tensor) -> Tensor:
        for block in self.resnets:
            features = block(features)
        for resampler in (*self.downsamplers, *self.upsamplers):
            features = resampler(features)
        return features


class _Resampler(nn.Module):
    """The convolution that goes with a change of size."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, features: Tensor) -> Tensor:
        """Halving sees a border of zeros on the right and below alone; enlarging repeats each feature."""
        if self.conv.stride == (2, 2):
            features = F.pad(features, (0, 1, 0, 1))
        else:
            features = F.interpolate(features, scale_factor=2)
        found: Tensor = self.conv(features)
        return found


class _Middle(nn.Module):
    """Two residual blocks, and attention between them where the weights have it."""

    def __init__(self, weights: Mapping[str, Tensor], prefix: str, groups: int) -> None:
        super().__init__()
        self.resnets = _blocks(weights, f"{prefix}.resnets", groups)
        attends = f"{prefix}.attentions.0.to_q.weight" in weights
        width = _shape(weights, f"{prefix}.resnets.0.conv1.weight")[0]
        self.attentions = nn.ModuleList([_Attention(width, groups)]) if attends else None

    def forward(self, features: Tensor) -> Tensor:
        first, *more = self.resnets
        features = first(features)
        for each in self.attentions or ():
            features = each(features)
        for block in more:
            features = block(features)
        return features


class _Block(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), with a 1 × 1 convolution beside it where the width changes."""

    def __init__(self, weights: Mapping[str, Tensor], prefix: str, groups: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (_convolution(weights, f"{prefix}.conv{number}") for number in (1, 2))
        self.norm1, self.norm2 = (_normalisation(groups, c.in_channels) for c in (self.conv1, self.conv2))
        self.conv_shortcut = _side_path(weights, f"{prefix}.conv_shortcut")

    def forward(self, features: Tensor) -> Tensor:
        inner: Tensor = self.conv1(F.silu(self.norm1(features)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        beside: Tensor = features if self.conv_shortcut is None else self.conv_shortcut(features)
        return beside + inner


class _Attention(nn.Module):
    """x + V softmax(Q Kᵀ ∕ √C) of the normalised features, one head (Vaswani et al., NeurIPS 2017, equation 1)."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.group_norm = _normalisation(groups, width)
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, features: Tensor) -> Tensor:
        places = self.group_norm(features).flatten(2).transpose(1, 2)
        query, key, value = (layer(places)[:, None] for layer in (self.to_q, self.to_k, self.to_v))
        found: Tensor = self.to_out[0](F.scaled_dot_product_attention(query, key, value)[:, 0])
        return features + found.transpose(1, 2).reshape(features.shape)


def _levels(weights: Mapping[str, Tensor], half: str, groups: int) -> nn.ModuleList:
    """The blocks of one size after another. Raises ValueError where they do not change the size by 8."""
    blocks, change = ("down_blocks", "downsamplers") if half == "encoder" else ("up_blocks", "upsamplers")
    levels = nn.ModuleList()
    while f"{half}.{blocks}.{len(levels)}.resnets.0.conv1.weight" in weights:
        levels.append(_Level(weights, f"{half}.{blocks}.{len(levels)}", groups))
    changes = sum(f"{half}.{blocks}.{number}.{change}.0.conv.weight" in weights for number in range(len(levels)))
    if changes != 3:
        raise ValueError(f"its {half} changes the size by {2**changes}, not by 8")
    return levels


def _blocks(weights: Mapping[str, Tensor], prefix: str, groups: int) -> nn.ModuleList:
    """The residual blocks that have weights, at least one."""
    blocks = nn.ModuleList([_Block(weights, f"{prefix}.0", groups)])
    while f"{prefix}.{len(blocks)}.conv1.weight" in weights:
        blocks.append(_Block(weights, f"{prefix}.{len(blocks)}", groups))
    return blocks


def _resamplers(weights: Mapping[str, Tensor], prefix: str, *, stride: int) -> nn.ModuleList:
    """None or one of them."""
    has = f"{prefix}.0.conv.weight" in weights
    return nn.ModuleList([_Resampler(_convolution(weights, f"{prefix}.0.conv", stride))] if has else [])


def _normalisation(groups: int, width: int) -> nn.GroupNorm:
    if width % groups:
        raise ValueError(
            f"{width} channels do not make {groups} groups: its config.json, which says how many, must be next to it"
        )
    return nn.GroupNorm(groups, width, _EPSILON)


def _side_path(weights: Mapping[str, Tensor], name: str) -> nn.Conv2d | None:
    """A layer that not every such network has."""
    return _convolution(weights, name) if f"{name}.weight" in weights else None


def _convolution(weights: Mapping[str, Tensor], name: str, stride: int = 1) -> nn.Conv2d:
    """As large as its weights are. One that halves the size has its border added before it."""
    shape = _shape(weights, f"{name}.weight")
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ValueError(f"{name}.weight is not a 2-D convolution kernel: {' × '.join(map(str, shape))}")
    wide, narrow, side = shape[:3]
    return nn.Conv2d(narrow, wide, side, stride, padding=side // 2 if stride == 1 else 0)


def _shape(weights: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in weights:
        raise ValueError(f"it lacks {name}, which an AutoencoderKL has")
    return weights[name].shape


def _as_now(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """An entry as diffusers writes it now: the attention's layers have new names, and are no 1 × 1 convolutions."""
    before, found, rest = name.partition(".attentions.0.")
    layer, _, what = rest.rpartition(".")
    if not found or layer == "group_norm":
        return name, tensor
    return f"{before}{found}{_OLD.get(layer, layer)}.{what}", tensor.flatten(1) if tensor.ndim == 4 else tensor


def _fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put the weights in. Raises ValueError with the first that is missing, left over or of another shape."""
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if _shape(weights, name) != tensor.shape:
            there, here = (" × ".join(map(str, each.shape)) for each in (weights[name], tensor))
            raise ValueError(f"{name} is {there}, not {here}")
    for name in weights:
        if name not in wanted:
            raise ValueError(f"it holds {name}, which is not part of an AutoencoderKL")
    with torch.no_grad():  # one by one: all of them as 32-bit numbers would be a copy more
        for name, tensor in wanted.items():
            tensor.copy_(weights[name])

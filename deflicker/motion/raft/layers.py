"""Convolutions of a trained network, taken from its weights and made ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_BATCH_NORM_EPSILON = 1e-5
"""torch's own, which the networks were trained with."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution whose padding keeps the size, but for the stride."""

    weight: Tensor
    """`[C_out, C_in, kh, kw]`, odd kh and kw."""
    bias: Tensor | None = None
    """`[C_out]`."""
    stride: int = 1

    def __call__(self, image: Tensor) -> Tensor:
        """`[B, C_in, H, W]` → `[B, C_out, ⌈H / stride⌉, ⌈W / stride⌉]`."""
        padding = self.weight.shape[-2] // 2, self.weight.shape[-1] // 2
        return F.conv2d(image, self.weight, self.bias, stride=self.stride, padding=padding)


class State:
    """A network's weights, each to be taken once, on a device and at a precision."""

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device | str, dtype: torch.dtype) -> None:
        self._left = dict(weights)
        self._device, self._dtype = device, dtype

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Tensor:
        """One tensor, float32 as it was stored. Raises ValueError where there is none of that name."""
        if name not in self._left:
            raise ValueError(f"these are not the network's weights: {name} is missing")
        return self._left.pop(name).float()

    def ready(self, tensor: Tensor) -> Tensor:
        """The tensor where and as it is used."""
        layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
        return tensor.to(device=self._device, dtype=self._dtype).contiguous(memory_format=layout)

    def convolution(self, name: str, *, stride: int = 1, scale: float = 1.0, norm: str | None = None) -> Convolution:
        """The convolution of that name, times `scale`, a batch normalisation after it (evaluating) folded into it."""
        weight, bias = self.take(f"{name}.weight") * scale, self.take(f"{name}.bias") * scale
        if norm is not None:
            mean, variance = self.take(f"{norm}.running_mean"), self.take(f"{norm}.running_var")
            gain = self.take(f"{norm}.weight") * (variance + _BATCH_NORM_EPSILON).rsqrt()
            weight, bias = weight * gain[:, None, None, None], (bias - mean) * gain + self.take(f"{norm}.bias")
            self._left.pop(f"{norm}.num_batches_tracked", None)
        return Convolution(self.ready(weight), self.ready(bias), stride)

    def finish(self) -> None:
        """Raise ValueError where something was not taken."""
        if self._left:
            raise ValueError(f"these are not the network's weights: {', '.join(sorted(self._left)[:3])} not expected")

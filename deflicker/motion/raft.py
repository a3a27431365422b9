"""RAFT as torchvision builds it, under both names its weights go by.

Teed & Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020 (arXiv:2003.12039).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.models.optical_flow import RAFT

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


def build(network: str) -> RAFT:
    """Return torchvision's `raft_small` or `raft_large` without weights, in eval mode.

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

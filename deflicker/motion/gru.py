"""RAFT's recurrent block, with what does not change between updates computed once a frame.

A convolution of [hidden, context, motion] is the sum of three. The context's share, a third of the work, is the same
in every update and for every pair a frame is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class _Gates:
    """One convolutional GRU (Cho et al., 2014), its weights parted by input."""

    padding: tuple[int, int]
    context: Tensor
    """`[3 C, Cc, kh, kw]`: update, reset and candidate, of the context."""
    bias: Tensor
    """`[3 C]`."""
    update_reset: Tensor
    """`[2 C, C + Cm, kh, kw]`: of hidden state and motion."""
    candidate: Tensor
    """`[C, C + Cm, kh, kw]`."""


class RecurrentUpdate:
    """The same function as torchvision's `RecurrentBlock`, of the same weights."""

    def __init__(self, block: nn.Module, context_channels: int) -> None:
        units = [unit for name, unit in block.named_children() if name.startswith("convgru")]
        self._hidden = int(block.hidden_size)  # type: ignore[arg-type]
        self._gates = [_parted(unit, self._hidden, context_channels) for unit in units]

    def prepare(self, context: Tensor) -> Tensor:
        """The context's share of every gate: `[B, Cc, h, w]` → `[B, 3 C · units, h, w]`."""
        shares = [F.conv2d(context, gates.context, gates.bias, padding=gates.padding) for gates in self._gates]
        return torch.cat(shares, 1)

    def __call__(self, hidden: Tensor, prepared: Tensor, motion: Tensor) -> Tensor:
        """The next hidden state `[B, C, h, w]`. motion: `[B, Cm, h, w]`; prepared: from `prepare`."""
        shares = prepared.chunk(3 * len(self._gates), 1)
        for index, gates in enumerate(self._gates):
            of_update, of_reset, of_candidate = shares[3 * index : 3 * index + 3]
            both = F.conv2d(torch.cat([hidden, motion], 1), gates.update_reset, padding=gates.padding)
            update, reset = both.chunk(2, 1)
            update, reset = torch.sigmoid(update + of_update), torch.sigmoid(reset + of_reset)
            kept = torch.cat([reset * hidden, motion], 1)
            candidate = torch.tanh(F.conv2d(kept, gates.candidate, padding=gates.padding) + of_candidate)
            hidden = torch.lerp(hidden, candidate, update)
        return hidden


def _parted(unit: nn.Module, hidden: int, context: int) -> _Gates:
    convolutions = [cast("nn.Conv2d", each) for each in (unit.convz, unit.convr, unit.convq)]
    inner, of_context = [], []
    for each in convolutions:
        of_hidden, fixed, of_motion = each.weight.tensor_split([hidden, hidden + context], dim=1)
        inner.append(torch.cat([of_hidden, of_motion], 1).contiguous(memory_format=torch.channels_last))
        of_context.append(fixed)
    padding = convolutions[0].padding
    return _Gates(
        padding=(int(padding[0]), int(padding[1])),
        context=torch.cat(of_context).contiguous(memory_format=torch.channels_last),
        bias=torch.cat([each.bias for each in convolutions if each.bias is not None]),
        update_reset=torch.cat(inner[:2]).contiguous(memory_format=torch.channels_last),
        candidate=inner[2],
    )

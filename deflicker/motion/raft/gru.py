"""RAFT's recurrent block, with what does not change between updates computed once a frame.

A convolution of [hidden, context, motion] is the sum of three. The context's share, a third of the work, is the same
in every update and for every pair a frame is in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.motion.raft.layers import Convolution, State


@dataclass(frozen=True, eq=False)
class _Gates:
    """One convolutional GRU (Cho et al., 2014), its weights parted by input."""

    context: Convolution
    """Context → update, reset and candidate, `3 C` channels."""
    update_reset: Convolution
    """Hidden state and motion → `2 C`."""
    candidate: Convolution
    """Hidden state and motion → `C`."""


class RecurrentUpdate:
    """One or two GRUs in turn; the small network has one."""

    def __init__(self, state: State, name: str, *, hidden: int, context: int) -> None:
        """hidden, context: channels."""
        units = [f"{name}.convgru{number}" for number in (1, 2)]
        self._gates = [_parted(state, unit, hidden, context) for unit in units if f"{unit}.convz.weight" in state]

    def prepare(self, context: Tensor) -> Tensor:
        """The context's share of every gate: `[B, Cc, h, w]` → `[B, 3 C · units, h, w]`."""
        return torch.cat([gates.context(context) for gates in self._gates], 1)

    def __call__(self, hidden: Tensor, prepared: Tensor, motion: Tensor) -> Tensor:
        """The next hidden state `[B, C, h, w]`. motion: `[B, Cm, h, w]`; prepared: from `prepare`."""
        shares = prepared.chunk(3 * len(self._gates), 1)
        for index, gates in enumerate(self._gates):
            of_update, of_reset, of_candidate = shares[3 * index : 3 * index + 3]
            update, reset = gates.update_reset(torch.cat([hidden, motion], 1)).chunk(2, 1)
            update, reset = torch.sigmoid(update + of_update), torch.sigmoid(reset + of_reset)
            candidate = torch.tanh(gates.candidate(torch.cat([reset * hidden, motion], 1)) + of_candidate)
            hidden = torch.lerp(hidden, candidate, update)
        return hidden


def _parted(state: State, name: str, hidden: int, context: int) -> _Gates:
    inner, of_context, biases = [], [], []
    for gate in ("convz", "convr", "convq"):
        of_hidden, fixed, of_motion = state.take(f"{name}.{gate}.weight").tensor_split([hidden, hidden + context], 1)
        inner.append(torch.cat([of_hidden, of_motion], 1))
        of_context.append(fixed)
        biases.append(state.take(f"{name}.{gate}.bias"))
    return _Gates(
        context=Convolution(state.ready(torch.cat(of_context)), state.ready(torch.cat(biases))),
        update_reset=Convolution(state.ready(torch.cat(inner[:2]))),
        candidate=Convolution(state.ready(inner[2])),
    )

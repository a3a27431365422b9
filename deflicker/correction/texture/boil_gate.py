"""How far texture's gate is open, from what pictures were found to do: the usual one of them counts, no odd one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deflicker.correction.texture.boil_estimate import Boil
from deflicker.motion.filters import ramp

_SHARE = (0.08, 0.13)
"""Part of all change that is boil, from which the gate begins to open and is open. Of the clean clips this was
chosen on, one of fast dancers opens it a little (79 dB come back), the rest stay below or are held by the next
bound; where boil was added to what can be followed, they have 0.19 to 0.48."""
_WORTH = (1.0 / 255, 1.5 / 255)
"""Root mean square of boil, likewise: below a code value it may be what an encoder left, and is not worth touching."""


def opening(boils: Sequence[Boil]) -> Tensor | None:
    """0 … 1 for these pictures together; None, which is closed, where there are none."""
    found = usual_boil(boils)
    return None if found is None else ramp(found[0], _SHARE) * ramp(found[1], _WORTH)


def usual_boil(boils: Sequence[Boil]) -> Tensor | None:
    """Part of all change that is boil, and its root mean square in [0, 1], `[2]`; None where there is none to know."""
    if not boils:
        return None
    explained = torch.stack([boil.explained for boil in boils])
    change = torch.stack([boil.change for boil in boils])
    share = (explained / change.clamp_min(1e-12)).nanmedian()
    return torch.stack([share, explained.nanmedian().sqrt()])


def numbers(gates: list[Tensor | None]) -> list[float]:
    """The gates' values, with one wait for the device; 0 for None."""
    known = [gate for gate in gates if gate is not None]
    values = iter(torch.stack(known).tolist() if known else [])
    return [0.0 if gate is None else next(values) for gate in gates]

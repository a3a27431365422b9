"""The course of tone: how the light of the picture, and of its regions, changes over each boundary between frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.seam_detection import MIN_VISIBLE, REGIONS, region_steps

_HELD = 1e-3
"""Weight with which a change is held to 0, so that a region that is never seen has none."""
_FAINT = 0.05
"""Weight of a region's steps at which it counts half as itself and half as the picture."""


def tone_course(steps: Mapping[int, Step], visible: Tensor, path: Tensor) -> Tensor | None:
    """Change of log tone over each boundary, `[T-1, 3, 1 + n]`: of the picture, then of its n regions; on the CPU.

    Least squares of d_k(t) = Σ of the changes from t to t + k, over the steps of all lags. None where too little can
    be seen. One wait for the device.

    steps: of frames under the log gain `path [T, 3, h, w]`, which is taken back; visible: `[T-1]`, the fraction of the
    picture that is matched.
    """
    value, weight, *_ = region_steps(steps)
    given = F.adaptive_avg_pool2d(path, REGIONS).flatten(1)
    told = torch.cat([value.flatten(1), weight.flatten(1), given, visible[:, None].expand(-1, given.shape[1])]).cpu()
    rows, frames = len(value), len(path)
    value, weight, given = told[:rows], told[rows : 2 * rows], told[2 * rows : 2 * rows + frames]
    if bool((told[2 * rows + frames :] < MIN_VISIBLE).any()):
        return None
    lags = [(lag, len(step.log_ratio)) for lag, step in steps.items() if lag > 0]
    lag = torch.cat([torch.full((n, 1), lag) for lag, n in lags])
    start = torch.cat([torch.arange(n)[:, None] for _, n in lags])
    at = torch.arange(frames - 1)
    across = ((at >= start) & (at < start + lag)).to(value.dtype)
    mass = weight / lag
    moments = torch.einsum("rs,rt,rc->cst", across, across, mass) + _HELD * torch.eye(frames - 1)
    change = torch.linalg.solve(moments, torch.einsum("rt,rc->ct", across, mass * value)).T - given.diff(dim=0)
    change = change.reshape(frames - 1, 3, -1)
    seen = weight[lag[:, 0] == 1].view(frames - 1, 3, -1)
    whole = (change * seen).sum(2, keepdim=True) / seen.sum(2, keepdim=True).clamp_min(1e-6)
    return torch.cat([whole, (seen * change + _FAINT * whole) / (seen + _FAINT)], 2)

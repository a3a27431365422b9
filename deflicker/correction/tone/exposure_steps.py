"""Steps that answer a drift, as those of automatic exposure while the light falls. They are not seams.

Taken off for good, they would leave the drift between them, and the picture would run away from the film's own slow
course. The energy of tone takes off both, and leaves that course (`trend`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.tone.seam_detection import StepFit

_ANSWERED = (0.4, 2.0)
"""Drift that a step takes back, as a part of the step: on the whole the film's own slow course is slower than both."""
_LARGE = 0.4
"""Size of a step, as a part of the window's largest, from which it takes anything back."""
_OTHER_WAY = -0.6
"""Correlation of the two over regions and channels, at most."""
_QUICK = 0.04
"""Slope around a shot's first step, as a part of it a frame, that is enough: the shot may begin within the drift."""


def exposure_steps(
    fit: StepFit, boundaries: Sequence[int], change: Tensor, drift: Tensor, *, opening: bool
) -> tuple[int, ...]:
    """Those of the boundaries over which tone steps and stays whose steps answer a drift, in order.

    fit: of all boundaries of a window; boundaries: in order. change: `[T-1, 3, r, r]` over each, 0 at steps and where
    it is in `drift`, `[3, r, r]`: what came since the step before all of these, or since the shot began. opening: the
    shot had no step before.
    """
    if not boundaries:
        return ()
    sizes = torch.stack([fit.size[b] for b in boundaries])
    large = (sizes >= _LARGE * sizes.max()).tolist()
    boundaries = [b for b, each in zip(boundaries, large, strict=True) if each]
    steps, slopes = (torch.stack([of[b] for b in boundaries]).flatten(1) for of in (fit.step, fit.slope))
    drifts = torch.stack(_drifts(boundaries, change, drift)).flatten(1)
    energy = steps.square().sum(1).clamp_min(1e-12)
    part, rate = -(drifts * steps).sum(1) / energy, -(slopes * steps).sum(1) / energy
    alike = torch.stack([F.cosine_similarity(each, steps) for each in (drifts, slopes)]) <= _OTHER_WAY
    answers = (part >= _ANSWERED[0]) & alike[0]
    if opening:
        answers[:1] |= (rate[:1] >= _QUICK) & alike[1, :1]
    answers &= part <= _ANSWERED[1]
    return tuple(b for b, each in zip(boundaries, answers.tolist(), strict=True) if each)


def _drifts(boundaries: Sequence[int], change: Tensor, drift: Tensor) -> list[Tensor]:
    """What came before each boundary since the one before it, `[3, r, r]` each."""
    starts = [b + 1 for b in boundaries]
    first = drift + change[: boundaries[0]].sum(0)
    later = [change[start:b].sum(0) for start, b in zip(starts, boundaries[1:], strict=False)]
    return [first, *later]


def drift_since(change: Tensor, steps: Sequence[int], end: int, drift: Tensor) -> Tensor:
    """Drift up to frame `end`, `[3, r, r]`, since the last of the steps, which lie before these frames.

    change, drift: as `exposure_steps` takes them.
    """
    return change[max(steps) : end].sum(0) if steps else drift + change[:end].sum(0)

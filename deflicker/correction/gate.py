"""How much of the tone's change is flicker: the gate that does no harm.

Both d₊ (to the next frame) and d₋ (to the previous one) contain -n of the frame between them, so flicker n that is
new in each frame gives E[d₊ d₋] = +σ². Motion, trends and passing light change d₊ and d₋ in opposite ways and give
≤ 0. A clean input has σ = 0 on every level, and a correction of exactly zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from deflicker.correction.observe import Step
from deflicker.correction.pyramid import Pyramid

_NEIGHBOURS = (1, 2, -1, -2)
_CORRELATION = (0.14, 0.30)
"""Correlation of d₊ and d₋ at which the gate begins to open and is open. Clean clips stay below 0.15, independent
flicker has 0.5."""
_USUAL = 0.01
"""Log gain a clean clip may reach by chance. The further above, the less correlation is asked for: a whole-frame pump
is one number a frame, and its correlation over a window is uncertain by ±0.2."""
_REGIONS = 2
"""Finest level that may flicker by itself: regions of four cells. What only finer levels hold is boiling texture, or
fast things whose matches are wrong; flicker of tone is at least as strong in the regions around."""
_FEW = 16
"""Values per frame up to which a level's correlation is that uncertain."""
_SMALLEST = 0.002
"""Standard deviation of log gain below which nothing is worth touching: half a code value of 255."""


def flicker_scale(steps: Mapping[int, Step], pyramid: Pyramid) -> Tensor:
    """Standard deviation of flicker in a window per level, `[levels]` in log gain; 0 where there is none.

    steps: the observations at ±1 and ±2 of one window. Every pair of a later and an earlier neighbour is a sample.
    """
    totals = torch.zeros(3, len(pyramid.sizes), device=steps[1].log_ratio.device)
    bands = {
        offset: pyramid.split(steps[offset].log_ratio, steps[offset].weight)
        for offset in _NEIGHBOURS
        if offset in steps
    }
    for later, earlier in ((a, -b) for a in (1, 2) for b in (1, 2)):
        if later not in bands or earlier not in bands:
            continue
        # Frames that have both neighbours: rows of `later` begin at frame 0, those of `earlier` at frame -earlier.
        frames = len(steps[later].log_ratio) + earlier
        for level, ((plus, weight_plus), (minus, weight_minus)) in enumerate(
            zip(bands[later], bands[earlier], strict=True)
        ):
            plus, weight_plus = plus[-earlier:], weight_plus[-earlier:]
            minus, weight_minus = minus[:frames], weight_minus[:frames]
            weight = weight_plus * weight_minus
            totals[0, level] += (plus * minus * weight).sum()
            totals[1, level] += ((plus.square() + minus.square()) / 2 * weight).sum()
            totals[2, level] += weight.sum()
    product, energy, mass = totals
    variance = (product / mass.clamp_min(1e-6)).clamp_min(0)
    few = torch.tensor([h * w <= _FEW for h, w in pyramid.sizes], device=variance.device)
    surprise = torch.where(few, (variance.sqrt() / _USUAL).clamp_min(1), 1.0)
    correlation = product / energy.clamp_min(1e-12) * surprise
    closed, open_ = _CORRELATION
    opening = ((correlation - closed) / (open_ - closed)).clamp(0, 1)
    scale: Tensor = (variance * opening - _SMALLEST**2).clamp_min(0).sqrt()
    for level in range(min(_REGIONS, len(scale) - 2) - 1, -1, -1):
        scale[level] = torch.minimum(scale[level], scale[level + 1])
    return scale

"""How much of the tone's change is flicker: the gate that does no harm.

Both d₊ (to the next frame) and d₋ (to the previous one) contain -n of the frame between them, so flicker n that is
new in each frame gives E[d₊ d₋] = +σ². Motion, trends and passing light change d₊ and d₋ in opposite ways and give
≤ 0. A clean input has σ = 0 on every level, and a correction of exactly zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_SHORT = 1.0
"""A short shot's correlation is uncertain: this much more is asked for, over the number of frames with neighbours."""
_FEW = 16
"""Values per frame up to which a level's correlation is that uncertain."""
_SMALLEST = 0.002
"""Standard deviation of log gain below which nothing is worth touching: half a code value of 255."""


Bands = Mapping[int, list[tuple[Tensor, Tensor]]]


def flicker_scale(
    steps: Mapping[int, Step],
    pyramid: Pyramid,
    *,
    others: Mapping[int, Step] | None = None,
    smallest: Sequence[float] | None = None,
) -> Tensor:
    """Standard deviation of flicker in a window per level, `[levels]` in log gain; 0 where there is none.

    steps: the observations at ±1 and ±2 of one window. Every pair of a later and an earlier neighbour is a sample.
    others: the same, seen elsewhere; then the later neighbour is taken from one of the two and the earlier from the
    other, so that only what both share counts. smallest: per level, what is not worth touching.
    """
    here = _bands(steps, pyramid)
    if others is None:
        product, energy, mass = _sums(here, here)
    else:
        there = _bands(others, pyramid)
        product, energy, mass = _sums(here, there) + _sums(there, here)
    variance = (product / mass.clamp_min(1e-6)).clamp_min(0)
    few = torch.tensor([h * w <= _FEW for h, w in pyramid.sizes], device=variance.device)
    surprise = torch.where(few, (variance.sqrt() / _USUAL).clamp_min(1), 1.0)
    correlation = product / energy.clamp_min(1e-12) * surprise
    closed, open_ = (limit + _SHORT / max(len(steps[1].log_ratio) - 1, 1) for limit in _CORRELATION)
    opening = ((correlation - closed) / (open_ - closed)).clamp(0, 1)
    least = torch.tensor(smallest or [_SMALLEST] * len(variance), device=variance.device)
    scale: Tensor = (variance * opening - least.square()).clamp_min(0).sqrt()
    return scale


def all_change(steps: Mapping[int, Step], pyramid: Pyramid) -> Tensor:
    """What the gate would find if all change were flicker, `[levels]`: for ablations."""
    _, energy, mass = _sums(_bands(steps, pyramid), _bands(steps, pyramid))
    scale: Tensor = (energy / mass.clamp_min(1e-6) / 2).sqrt()
    return scale


def with_their_regions(scale: Tensor) -> Tensor:
    """No level finer than regions flickers more than the regions around: `[levels]` of a pyramid of cells."""
    for level in range(min(_REGIONS, len(scale) - 2) - 1, -1, -1):
        scale[level] = torch.minimum(scale[level], scale[level + 1])
    return scale


def _bands(steps: Mapping[int, Step], pyramid: Pyramid) -> Bands:
    return {
        offset: pyramid.split(steps[offset].log_ratio, steps[offset].weight)
        for offset in _NEIGHBOURS
        if offset in steps
    }


def _sums(ahead: Bands, behind: Bands) -> Tensor:
    """Σ w d₊ d₋, Σ w (d₊² + d₋²) / 2 and Σ w of each level, `[3, levels]`."""
    totals = []
    for later, earlier in ((a, -b) for a in (1, 2) for b in (1, 2)):
        if later not in ahead or earlier not in behind:
            continue
        # Frames that have both neighbours: rows of `later` begin at frame 0, those of `earlier` at frame -earlier.
        frames = len(ahead[later][0][0]) + earlier
        for (plus, weight_plus), (minus, weight_minus) in zip(ahead[later], behind[earlier], strict=True):
            plus, weight_plus = plus[-earlier:], weight_plus[-earlier:]
            minus, weight_minus = minus[:frames], weight_minus[:frames]
            weight = weight_plus * weight_minus
            product, energy = plus * minus, (plus.square() + minus.square()) / 2
            totals.append(torch.stack([(product * weight).sum(), (energy * weight).sum(), weight.sum()]))
    return torch.stack(totals).view(-1, len(ahead[1]), 3).sum(0).T

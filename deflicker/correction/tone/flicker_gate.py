"""How much of the tone's change is flicker: the gate that leaves clean clips alone.

Both d₊ (to the next frame) and d₋ (to the previous one) contain -n of the frame between them, so flicker n that is
new in each frame gives E[d₊ d₋] = +σ². Motion, trends and passing light change d₊ and d₋ in opposite ways and give
≤ 0. A clean input has σ = 0 on every level, and a correction of exactly zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.pyramid import Pyramid
from deflicker.motion.filters import box_mean, ramp

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
_CORRELATION_OF_PLACES = (0.25, 0.45)
"""As `_CORRELATION`, of one place of a level, which is seen in fewer steps."""
_SHORT_OF_PLACES = 4.0
"""As `_SHORT`, of one place: in a shot of ten frames none is believed by itself."""
_PRIOR = 0.1
"""What a place is told by the level it belongs to, in units of what it tells by itself; those around it tell more."""
_AROUND = 1
"""Radius of the places around, of each level."""
_MOST_OF_A_PLACE = 9.0
"""Variance of a place in units of its level's, at most."""
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
        sums = _sums(here, here)
    else:
        there = _bands(others, pyramid)
        sums = [a + b for a, b in zip(_sums(here, there), _sums(there, here), strict=True)]
    least = smallest or [_SMALLEST] * len(sums)
    short = _SHORT / max(len(steps[1].log_ratio) - 1, 1)
    scales = [
        _scale(each.sum((1, 2)), _CORRELATION, short, few=each[0].numel() <= _FEW, smallest=small)
        for each, small in zip(sums, least, strict=True)
    ]
    return torch.stack(scales)


def flicker_of_places(steps: Mapping[int, Step], pyramid: Pyramid, scale: Tensor) -> list[Tensor]:
    """Standard deviation of flicker at each place of each level, `[1, 1, h_l, w_l]`, where places flicker differently.

    steps: as for `flicker_scale`; scale: what that found, `[levels]`. A level's flicker is shared out among its places
    by how much each has, and a place whose steps are correlated clearly enough by themselves flickers though the level,
    of which it is a small part, does not. No cell flickers more than the regions around it.
    """
    bands = _bands(steps, pyramid)
    short = _SHORT_OF_PLACES / max(len(steps[1].log_ratio) - 1, 1)
    places = []
    for sums, whole in zip(_sums(bands, bands), scale, strict=True):
        if sums[0].numel() == 1:
            places.append(whole.view(1, 1, 1, 1))
            continue
        around = box_mean(sums, _AROUND) + _PRIOR * sums.mean((1, 2), keepdim=True)
        usual = sums[0].sum() / sums[2].sum().clamp_min(1e-6)
        part = around[0] / around[2].clamp_min(1e-6) / usual.clamp_min(1e-12)
        own = _scale(around, _CORRELATION_OF_PLACES, short, few=sums[0].numel() <= _FEW, smallest=_SMALLEST)
        places.append(torch.maximum(own, whole * part.clamp(0, _MOST_OF_A_PLACE).sqrt())[None, None])
    return with_their_regions(places, pyramid)


def all_alike(scale: Tensor, pyramid: Pyramid) -> list[Tensor]:
    """The same where all places of a level flicker as much: for ablations."""
    return with_their_regions([s.expand(1, 1, *size) for s, size in zip(scale, pyramid.sizes, strict=True)], pyramid)


def with_their_regions(places: list[Tensor], pyramid: Pyramid) -> list[Tensor]:
    """No cell flickers more than the regions around it: `[1, 1, h_l, w_l]` of each level of a pyramid of cells."""
    for level in range(min(_REGIONS, len(places) - 2) - 1, -1, -1):
        places[level] = torch.minimum(places[level], pyramid.finer(level, places[level + 1]))
    return places


def _scale(sums: Tensor, limits: tuple[float, float], short: float, *, few: bool, smallest: float) -> Tensor:
    """Standard deviation of flicker from Σ w d₊ d₋, Σ w (d₊² + d₋²) / 2 and Σ w, `[3, ...]` → `[...]`."""
    product, energy, mass = sums
    variance = (product / mass.clamp_min(1e-6)).clamp_min(0)
    z_score = (variance.sqrt() / _USUAL).clamp_min(1) if few else 1.0
    correlation = product / energy.clamp_min(1e-12) * z_score
    opening = ramp(correlation, (limits[0] + short, limits[1] + short))
    scale: Tensor = (variance * opening - smallest**2).clamp_min(0).sqrt()
    return scale


def all_change(steps: Mapping[int, Step], pyramid: Pyramid) -> Tensor:
    """What the gate would find if all change were flicker, `[levels]`: for ablations."""
    bands = _bands(steps, pyramid)
    totals = [sums.sum((1, 2)) for sums in _sums(bands, bands)]
    return torch.stack([(energy / mass.clamp_min(1e-6) / 2).sqrt() for _, energy, mass in totals])


def _bands(steps: Mapping[int, Step], pyramid: Pyramid) -> Bands:
    return {
        offset: pyramid.split(steps[offset].log_ratio, steps[offset].weight)
        for offset in _NEIGHBOURS
        if offset in steps
    }


def _sums(ahead: Bands, behind: Bands) -> list[Tensor]:
    """Σ w d₊ d₋, Σ w (d₊² + d₋²) / 2 and Σ w of each level over frames and channels, `[3, h_l, w_l]`."""
    totals = [torch.zeros(3, *band.shape[-2:], device=band.device) for band, _ in ahead[1]]
    for later, earlier in ((a, -b) for a in (1, 2) for b in (1, 2)):
        if later not in ahead or earlier not in behind:
            continue
        # Frames that have both neighbours: rows of `later` begin at frame 0, those of `earlier` at frame -earlier.
        frames = len(ahead[later][0][0]) + earlier
        for total, (plus, weight_plus), (minus, weight_minus) in zip(
            totals, ahead[later], behind[earlier], strict=True
        ):
            plus, minus = plus[-earlier:], minus[:frames]
            weight = weight_plus[-earlier:] * weight_minus[:frames]
            energy = (plus.square() + minus.square()) / 2
            total += torch.stack(
                [(weight * plus * minus).sum((0, 1)), (weight * energy).sum((0, 1)), weight.sum((0, 1))]
            )
    return totals

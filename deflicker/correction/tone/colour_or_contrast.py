"""Whether colours flicker by themselves, or because contrast does.

Contrast that pumps around grey pumps saturation with it. A mix takes that off and leaves luma's part, which the
channels' curves then say no longer; without the mix they say all of it. Saturation that pumps by itself is no curve. So
where a mix is found, both ways are tried.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from deflicker.correction.colour_mix import apply_mix
from deflicker.correction.curve import apply_curve
from deflicker.correction.tone.colour_flicker import Mixes
from deflicker.correction.tone.static_check import is_global
from deflicker.correction.tone.tone_curve import solve_curve
from deflicker.correction.tone.tone_options import CurveOptions
from deflicker.metrics.flicker import tone_shake
from deflicker.motion.correspondence import Match
from deflicker.motion.warp import warp

_FLOOR = 0.05
"""Added to the light before its logarithm."""


def mixes_beside_curves(
    frames: Tensor, matches: Mapping[int, Match], mixes: Mixes, *, fixed: Tensor, options: CurveOptions
) -> Mixes:
    """The mixes, or none beyond the decided frames if curves alone leave less flicker.

    frames: `[T, 3, H, W]`; fixed: `[n, 3, KNOTS]`, the decided curves of the first n frames.
    """
    if not options.iterations or mixes.is_zero or not bool(mixes.flicker[len(fixed) :].any()):
        return mixes
    fewer = _decided(mixes, len(fixed))
    left = [_left(frames, matches, each, fixed, options) for each in (mixes, fewer)]
    return fewer if left[1] < left[0] else mixes


def _decided(mixes: Mixes, past: int) -> Mixes:
    """The mixes of the first `past` frames, and nothing new after them."""
    level, flicker = mixes.level.clone(), mixes.flicker.clone()
    level[past:] = level[past - 1] if past else 0.0
    flicker[past:] = 0
    return Mixes.of(level, flicker)


def _left(frames: Tensor, matches: Mapping[int, Match], mixes: Mixes, fixed: Tensor, options: CurveOptions) -> float:
    """Square flicker of cells, beyond gains of the whole picture, under mixes and the curves that go with them."""
    mixed = apply_mix(frames, mixes.total)
    curve, _ = solve_curve(mixed, matches, fixed=fixed, options=options)
    curved = apply_curve(mixed, curve).clamp(0, 1)
    if not bool(curve.any()) or not is_global(mixed, curved):
        curved = mixed
    light = (curved + _FLOOR).log()
    ahead, behind = matches[1], matches[-1]
    later, earlier = warp(light[2:], ahead.flow_px[1:]), warp(light[:-2], behind.flow_px[:-1])
    shake = tone_shake(earlier, light[1:-1], later, ahead.visible[1:] * behind.visible[:-1])
    return float((shake.local - shake.weight[:, None] * shake.whole.square()).sum())

"""Reference anchoring: drift of tone and colour away from a reference frame, taken back.

Drift is seen twice: as small steps between neighbours that add up, and directly, wherever the flow to the reference
itself verifies. Both are terms of one small energy for the log gain of each region in each frame, so the error of what
adds up is bounded by what is seen directly. Of the regions' gains only what they share is used: a drift of the picture
is common to all of it, while a shadow, a lamp or wrong matches are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.tone.losses import anchor_energy
from deflicker.correction.tone.observations import Step, observe, without_outliers
from deflicker.correction.tone.seam_detection import REGIONS, region_steps
from deflicker.correction.tone.tone_problem import Energy
from deflicker.motion.correspondence import LongMatch, Match

_CANDIDATES = 5
"""First pictures of a shot among which the reference is chosen: later ones may have drifted already."""
_SHARP = 0.8
"""Part of the sharpest candidate's gradient energy that a reference must have."""
_SEEN = 0.5
"""Part of the picture that neighbours must have in common for their step to count, and in the mean over a window for
any to: on water, less is."""
_SEEN_FAR = 0.3
"""The same for a picture and the reference, of which more is hidden."""
_HOLD = 1e-3
"""Weight of the term that keeps a region's gain where nothing is seen of it."""
_FIXED = 1e6
"""Weight that stands for certainty."""
_LARGEST = 0.35
"""Log gain beyond which nothing is taken back: half a stop is a change of the light, not a drift."""
_ROUNDS = 4
"""Reweighting rounds of the mean over regions."""


@stored
@dataclass(frozen=True, eq=False)
class AnchorMemory:
    """What a shot's next window must know."""

    path: Tensor
    """`[H, 3, r, r]`: log gain of the kept pictures' regions towards the reference."""
    key: Tensor | None = None
    """`[3, H, W]`: the picture that long matches lead to, without its flicker; None before the first window."""
    key_path: Tensor | None = None
    """`[3, r, r]`: its log gain towards the reference."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """The drift of a window, and the log gain that takes it back."""

    log_gain: Tensor
    """`[T, 3, 1, 1]`, the same all over the picture."""
    _path: Tensor
    _memory: AnchorMemory
    energy: Energy | None = None
    """`losses.anchor_energy`; None where nothing was solved."""

    @classmethod
    def none(cls, frames: int, memory: AnchorMemory) -> Anchors:
        """No correction of any drift."""
        path = memory.path.new_zeros(frames, *memory.path.shape[1:])
        return cls(path[..., :1, :1], path, memory)

    def memory(self, kept: slice) -> AnchorMemory:
        """For the next window, of which the `kept` frames are the history."""
        return AnchorMemory(self._path[kept], self._memory.key, self._memory.key_path)


def find_drift(
    frames: Tensor,
    matches: Mapping[int, Match],
    long_matches: Sequence[LongMatch],
    memory: AnchorMemory,
    reference: Tensor | None = None,
) -> Anchors:
    """Drift in a window of proxies `[T, 3, H, W]`, flicker and seams taken off, whose first `len(memory.path)` are
    decided.

    long_matches: to the shot's first picture, or to `reference [3, H, W]` where one is given.
    """
    known, count = memory.path, len(frames)
    if 1 not in matches:
        return Anchors.none(count, memory)
    key = reference if reference is not None else frames[0] if memory.key is None else memory.key
    key_path = known.new_zeros(known.shape[1:]) if memory.key_path is None else memory.key_path
    steps = {offset: without_outliers(observe(frames, match)) for offset, match in matches.items()}
    problem = DriftProblem.of(steps, matches, count)
    direct = [_direct(frames, key, match) for match in long_matches if float(match.visible.mean()) >= _SEEN_FAR]
    begins = not (len(known) or (reference is not None and direct))
    if begins:  # in the shot's first window all is relative to its first picture until the reference is chosen
        problem.fix([0], key_path[None])
    else:
        problem.fix(range(len(known)), known)
    problem.tie(direct, key_path)
    path = problem.minimum()
    energy = problem.energy(path)
    if begins:
        offset = path[choose_reference(frames, path)]
        path = path - offset
        key_path = key_path - offset if reference is None else key_path
    shared, deviation = shared_gain(path, problem.mass)
    log_gain = (shared * drift_confidence(shared, deviation)).clamp(-_LARGEST, _LARGEST)
    return Anchors(log_gain, path, AnchorMemory(path, key, key_path), energy)


def choose_reference(frames: Tensor, path: Tensor) -> int:
    """The picture to hold on to: of the first few that are sharp, the one whose tone lies in their middle (medoid).

    frames: `[T, 3, H, W]`; path: `[T, 3, r, r]`, their log gain towards any common picture.
    """
    frames, tone = frames[:_CANDIDATES], path[:_CANDIDATES].mean((2, 3))
    sharpness = frames.diff(dim=-1).square().mean((1, 2, 3)) + frames.diff(dim=-2).square().mean((1, 2, 3))
    distance = (tone[:, None] - tone[None]).abs().sum((1, 2))
    blurred = sharpness < _SHARP * sharpness.max()
    return int(torch.where(blurred, torch.inf, distance).argmin())


def shared_gain(path: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """What regions' gains `[T, 3, r, r]` have in common, `[T, 3, 1, 1]`, and how far they lie apart, `[T, 1, 1, 1]`.

    A mean with Cauchy weights, and the root mean square of what is left. mass: `[3, r, r]`, how much is seen of each.
    """
    mass = mass / mass.sum((1, 2), keepdim=True).clamp_min(1e-9)
    weight = mass.expand_as(path)
    for _ in range(_ROUNDS):
        shared = (path * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-9)
        left = path - shared
        usual = (left.abs() * mass).sum((1, 2, 3), keepdim=True) / 3
        weight = mass / (1 + left.square().mean(1, keepdim=True) / (usual.square() + 1e-7))
    variance = (left.square() * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-9)
    return shared, variance.mean(1, keepdim=True).sqrt()


def drift_confidence(shared: Tensor, deviation: Tensor) -> Tensor:
    """How much of a shared gain is drift, 0 … 1, `[T, 1, 1, 1]`: its energy relative to the regions' deviation."""
    ratio = (shared.square().mean(1, keepdim=True) / deviation.square().clamp_min(1e-9)).square()
    return ratio / (1 + ratio)


def _direct(frames: Tensor, key: Tensor, match: LongMatch) -> tuple[int, Tensor, Tensor]:
    """(picture, log ratio, weight), both `[3, r, r]`: the key's tone relative to a picture's."""
    pair = torch.stack([frames[match.picture], key])
    step = without_outliers(observe(pair, Match(1, 0, match.flow_px[None], match.visible[None])))
    mass = F.adaptive_avg_pool2d(step.weight, REGIONS)
    total = F.adaptive_avg_pool2d(step.weight * step.log_ratio, REGIONS)
    return match.picture, (total / mass.clamp_min(1e-6))[0], mass[0]


class DriftProblem:
    """`losses.anchor_energy` of every region and channel as its normal equations, H a = g over time."""

    def __init__(self, frames: int, mass: Tensor) -> None:
        """mass: `[3, r, r]`, how much is seen of each region."""
        self.mass = mass
        self._hessian = mass.new_zeros(mass.numel(), frames, frames)
        self._gradient = mass.new_zeros(mass.numel(), frames)
        self._steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._direct: list[tuple[int, Tensor, Tensor]] = []
        self._fixed: dict[int, Tensor] = {}

    @classmethod
    def of(cls, steps: Mapping[int, Step], matches: Mapping[int, Match], frames: int) -> DriftProblem:
        """The terms of the steps between neighbours, and the one that holds a gain where there are none."""
        value, weight, start, lag = region_steps(steps)
        seen = [
            torch.minimum(matches[k].visible.mean((1, 2, 3)), matches[-k].visible.mean((1, 2, 3)))
            for k in steps
            if k > 0
        ]
        usable = (torch.cat(seen) >= _SEEN) & (seen[0].mean() >= _SEEN)
        weight = weight * usable.view(-1, 1, 1, 1)
        regions = value[0].numel()
        new = cls(frames, weight.mean(0))
        new._add(start, start + lag, value.flatten(1).T, weight.flatten(1).T)
        ahead = torch.arange(1, frames, device=value.device)
        none = value.new_zeros(regions, frames - 1)
        new._add(ahead - 1, ahead, none, none + _HOLD)
        return new

    def _add(self, here: Tensor, there: Tensor, value: Tensor, weight: Tensor) -> None:
        """Σ w (a_there − a_here + d)²; value d and weight w are `[regions, rows]`."""
        self._steps.append((here, there, value, weight))
        region = torch.arange(len(value), device=value.device)[:, None]
        for a, b, sign in ((here, here, 1), (there, there, 1), (here, there, -1), (there, here, -1)):
            self._hessian.index_put_((region, a[None], b[None]), sign * weight, accumulate=True)
        self._gradient.index_put_((region, here[None]), weight * value, accumulate=True)
        self._gradient.index_put_((region, there[None]), -weight * value, accumulate=True)

    def tie(self, direct: Sequence[tuple[int, Tensor, Tensor]], key: Tensor) -> None:
        """Σ w (a_key − a_t + d)² for every direct match; key: `[3, r, r]`."""
        for picture, value, weight in direct:
            self._direct.append((picture, (value + key).flatten(), weight.flatten()))
            self._hessian[:, picture, picture] += weight.flatten()
            self._gradient[:, picture] += (weight * (value + key)).flatten()

    def fix(self, pictures: Sequence[int], path: Tensor) -> None:
        """Let these pictures have these gains, `[n, 3, r, r]`."""
        for picture, gain in zip(pictures, path, strict=True):
            self._fixed[picture] = gain
            self._hessian[:, picture, picture] += _FIXED
            self._gradient[:, picture] += _FIXED * gain.flatten()

    def minimum(self) -> Tensor:
        """`[T, 3, r, r]`."""
        path: Tensor = torch.linalg.solve(self._hessian, self._gradient[..., None])[..., 0]
        return path.T.reshape(-1, *self.mass.shape)

    def energy(self, path: Tensor) -> Energy:
        """Of gains `[T, 3, r, r]`, and of none but those that are fixed."""
        none = torch.zeros_like(path)
        for picture, gain in self._fixed.items():
            none[picture] = gain
        return Energy(self._energy(none), self._energy(path))

    def _energy(self, path: Tensor) -> Tensor:
        gains = path.flatten(1).T
        left = torch.cat([value + gains[:, there] - gains[:, here] for here, there, value, _ in self._steps], 1)
        none = path.new_zeros(0)
        return anchor_energy(
            left,
            torch.cat([none, *(value - gains[:, picture] for picture, value, _ in self._direct)]),
            step_weight=torch.cat([weight for *_, weight in self._steps], 1),
            reference_weight=torch.cat([none, *(weight for *_, weight in self._direct)]),
        )

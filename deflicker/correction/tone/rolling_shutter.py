"""Bands of mains light that a rolling shutter catches: rows that are modulated, in waves that move from frame to frame.

A lamp on mains flickers at twice its frequency, and a sensor reads its rows one after the other. So light of a period
stands over the rows as a wave, which the next frame catches in another phase (BurstDeflicker, NeurIPS 2025). With y the
place of a row in heights of the picture and t the frame, the log gain is

    c(t, y) = Re Σ_j A_j exp(2πi (k_j y + f_j t)),

k_j periods a height, f_j a frame, A_j for each channel: one wave, or a few where lights differ or are no sinusoid. The
steps of tone along motion, averaged over each row of cells, tell them: k and f by the peak of the steps' spectrum in
both, A by least squares. Rows belong to the sensor, so waves stay in their place while things move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deflicker.correction.tone.observations import Step
from deflicker.motion.filters import sum_of

_LEAST_FRAMES = 12
_LEAST_ROWS = 12
_PERIODS = (0.4, 8.0)
"""k: periods a height."""
_PERIODS_APART = 0.1
_LEAST_TURNS = 1.0
"""Least periods of a wave in a window: what takes longer may be light that goes its own way."""
_EXPLAINED = 0.4
"""Part of the rows' steps that the first wave must explain: films without such bands stay below 0.17 …"""
_EXPLAINED_MORE = 0.05
"""… and each further one."""
_MOST_WAVES = 4
_LEAST_AMPLITUDE = 0.008
"""Log gain: two code values of 255 in a bright place."""
_REFINEMENTS = 5
_HOPEFUL = 0.2
"""Part that the spectrum must promise, before more is asked."""


@dataclass(frozen=True, eq=False)
class Wave:
    """One wave over the rows."""

    per_height: float
    """k."""
    per_frame: float
    """f."""
    amplitude: Tensor
    """A, `[3]` complex."""

    def log_gain(self, frames: int, rows: int) -> Tensor:
        """c at the middles of rows of cells, `[T, 3, h, 1]`."""
        y = (torch.arange(rows) + 0.5) / rows
        turns = self.per_height * y + self.per_frame * torch.arange(frames)[:, None]
        return (_turns(turns)[:, None] * self.amplitude.view(1, 3, 1)).real[..., None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Steps of rows of cells along one lag, centred (`_centred`). `time` and `here` are on the CPU."""

    offset: int
    time: Tensor
    """`[n, 1]`: frame that a step starts from."""
    here: Tensor
    """`[1, h]`: place of a row …"""
    there: Tensor
    """… and of what it is matched with, `[n, h]`, in heights of the picture."""
    step: Tensor
    """`[n, 3, h]`."""
    weight: Tensor
    """`[n, h]`."""

    @classmethod
    def of(cls, step: Step) -> Rows:
        """The rows of a step of cells."""
        count, _, height, _ = step.log_ratio.shape
        weight = step.weight.mean(1)
        mass = weight.sum(2)
        mean = (step.log_ratio * weight[:, None]).sum(3) / mass[:, None].clamp_min(1e-6)
        moved = (step.flow_cells[:, 1] * weight).sum(2) / mass.clamp_min(1e-6)
        here = (torch.arange(height)[None] + 0.5) / height
        time = torch.arange(step.start, step.start + count)[:, None]
        return cls(step.offset, time, here, here.to(moved) + moved / height, _centred(mean, mass), mass)

    def basis(self, per_height: float, per_frame: float) -> Tensor:
        """What the step of a wave of amplitude 1 is, a mean over each row of cells, `[n, h]` complex; centred, too."""
        one = _turns(per_height * self.here + per_frame * self.time)
        other = _turns(per_height * self.there + per_frame * (self.time + self.offset))
        of_cells = torch.sinc(torch.tensor(per_height / self.here.shape[1]))
        return _centred((of_cells * (other - one))[:, None], self.weight)[:, 0]

    def without(self, wave: Wave) -> Rows:
        """The rows without what a wave makes of them."""
        basis = self.basis(wave.per_height, wave.per_frame)
        return replace(self, step=self.step - (basis[:, None] * wave.amplitude.view(1, 3, 1)).real)


def find_waves(steps: Mapping[int, Step], frames: int, memory: Tensor | None) -> Tensor | None:
    """Log gain that takes the waves off the rows of a window, `[T, 3, h, 1]`; None where there are none.

    steps: as `observe` finds them; frames: T; memory: `[H, 3, h, 1]`, what the first frames were given, None for
    nothing.
    """
    if 1 not in steps:
        return None
    like, decided = steps[1].log_ratio, 0 if memory is None else len(memory)
    waves: list[Wave] = []
    if frames >= _LEAST_FRAMES and like.shape[2] >= _LEAST_ROWS:
        waves = waves_of([Rows.of(step) for offset, step in sorted(steps.items()) if offset > 0], frames)
    if not waves and memory is None:
        return None
    gains = [-wave.log_gain(frames, like.shape[2]).to(like) for wave in waves]
    found = sum_of(gains) if gains else like.new_zeros(frames, 3, like.shape[2], 1)
    return found if memory is None else torch.cat([memory, found[decided:]])


def waves_of(rows: Sequence[Rows], frames: int) -> list[Wave]:
    """The waves of a window of so many frames, the strongest first; none where they say little of what its rows do."""
    rows = _on_cpu(rows)
    whole = _energy(rows)
    waves: list[Wave] = []
    while len(waves) < _MOST_WAVES and whole > 0:
        k, f, promised = _peak(rows, frames)
        if not waves and promised < _HOPEFUL * whole:
            break
        wave = _fitted(rows, *_refined(rows, k, f, frames))
        left = [each.without(wave) for each in rows]
        explained = (_energy(rows) - _energy(left)) / whole
        if (
            explained < (_EXPLAINED_MORE if waves else _EXPLAINED)
            or float(wave.amplitude.abs().max()) < _LEAST_AMPLITUDE
        ):
            break
        waves.append(wave)
        rows = left
    return waves


def _on_cpu(rows: Sequence[Rows]) -> list[Rows]:
    """They are few numbers, which are asked many things: one wait for the device."""
    sizes = [each.step.numel() for each in rows]
    parts = [torch.cat([each.there.flatten(), each.weight.flatten(), each.step.flatten()]) for each in rows]
    found = []
    for each, size, flat in zip(
        rows, sizes, torch.split(torch.cat(parts).cpu(), [len(part) for part in parts]), strict=True
    ):
        there, weight, step = torch.split(flat, [size // 3, size // 3, size])
        shape = each.there.shape
        found.append(replace(each, there=there.view(shape), weight=weight.view(shape), step=step.view(each.step.shape)))
    return found


def _energy(rows: Sequence[Rows]) -> float:
    """Mean over channels of what the rows do."""
    return sum(float((each.step.square().mean(1) * each.weight).sum()) for each in rows)


def _peak(rows: Sequence[Rows], frames: int) -> tuple[float, float, float]:
    """k and f at which the steps' spectrum is largest, as if nothing moved, and the energy that this explains."""
    k = torch.arange(*_PERIODS, _PERIODS_APART)
    f = torch.arange(-2 * frames, 2 * frames + 1) / (4 * frames)
    found, norm = torch.zeros(len(f), len(k), dtype=torch.complex64), torch.zeros(len(f), 1)
    for each in rows:
        response = _turns(f * each.offset) - 1
        weighed = (each.step.mean(1) * each.weight).to(torch.complex64)
        found += response.conj()[:, None] * (_turns(-f[:, None] * each.time.T) @ weighed @ _turns(-each.here.T * k))
        norm += response.abs().square()[:, None] * each.weight.sum()
    explained = 2 * found.abs().square() / norm.clamp_min(1e-6)
    explained[f.abs() * frames < _LEAST_TURNS] = 0
    best = int(explained.argmax())
    return float(k[best % len(k)]), float(f[best // len(k)]), float(explained.max())


def _refined(rows: Sequence[Rows], k: float, f: float, frames: int) -> tuple[float, float]:
    """k and f near those given that explain most, with rows matched where they are."""

    def left(at: tuple[float, float]) -> float:
        wave = _fitted(rows, *at)
        return _energy([each.without(wave) for each in rows])

    step_k, step_f = _PERIODS_APART, 1 / (4 * frames)
    for _ in range(_REFINEMENTS):
        k, f = min(((k + a * step_k, f + b * step_f) for a in (-1, 0, 1) for b in (-1, 0, 1)), key=left)
        step_k, step_f = step_k / 2, step_f / 2
    return k, f


def _fitted(rows: Sequence[Rows], k: float, f: float) -> Wave:
    """The wave of k and f that fits best, by weighted least squares."""
    normal, right = 1e-6 * torch.eye(2), torch.zeros(2, 3)
    for each in rows:
        basis = each.basis(k, f)
        parts = torch.stack([basis.real, -basis.imag])
        normal += torch.einsum("inh,jnh,nh->ij", parts, parts, each.weight)
        right += torch.einsum("inh,nch,nh->ic", parts, each.step, each.weight)
    real, imaginary = torch.linalg.solve(normal, right)
    return Wave(k, f, torch.complex(real, imaginary))


def _turns(turns: Tensor) -> Tensor:
    """exp(2πi x)."""
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)


def _centred(values: Tensor, weight: Tensor) -> Tensor:
    """`[n, C, h]` without what all rows of a frame share, and without each row's own mean and slope over time.

    The latter two are light that grows or falls, ever faster or slower. weight: `[n, h]`.
    """
    mass = weight[:, None]
    time = torch.arange(len(values), device=mass.device, dtype=mass.dtype).view(-1, 1, 1)
    time = time - _mean(time, mass, 0)
    values = values - _mean(values, mass, 2)
    values = values - _mean(values, mass, 0)
    return values - time * (_mean(values * time, mass, 0) / _mean(time.square(), mass, 0).clamp_min(1e-6))


def _mean(values: Tensor, mass: Tensor, axis: int) -> Tensor:
    return (values * mass).sum(axis, keepdim=True) / mass.sum(axis, keepdim=True).clamp_min(1e-6)

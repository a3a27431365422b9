"""What must be so of a right result: a measure and its bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from . import measures as m
from .case import Case

HARM_DB = 0.2


@dataclass(frozen=True)
class Criterion:
    """A measure of a result with the most that is right, or the least."""

    name: str
    measure: Callable[[Case, Tensor], float]
    bound: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self, value: float) -> str:
        """The value with its bound, as `flicker left 0.45 (≤ 0.3)`."""
        return f"{self.name} {value:.3g} ({'≥' if self.at_least else '≤'} {self.bound:g})"


def at_most(name: str, measure: Callable[[Case, Tensor], float], bound: float) -> Criterion:
    return Criterion(name, measure, bound)


def at_least(name: str, measure: Callable[[Case, Tensor], float], bound: float) -> Criterion:
    return Criterion(name, measure, bound, at_least=True)


def flicker_left(bound: float) -> Criterion:
    return at_most("flicker left", m.flicker_left, bound)


def gain(bound_db: float) -> Criterion:
    return at_least("gain, dB", m.gain_db, bound_db)


NO_HARM = (
    at_least("change of PSNR, dB", m.gain_db, -HARM_DB),
    at_least("change of luma's PSNR, dB", m.luma_gain_db, -HARM_DB),
    at_least("detail", m.detail, 0.95),
)
"""Of every kind."""
HARM = frozenset(each.name for each in NO_HARM[:2]) | {"worst shot, dB"}
"""Criteria that are not met where a result is worse than the input."""
OVERLAY = (
    at_most("overlay moves, levels", m.overlay_moves, 0.8),
    at_most("overlay steps, levels rms", m.overlay_steps, 0.3),
    at_most("overlay, 99th percentile, levels", m.overlay_worst, 3),
)
REST_UNCHANGED = at_most("change of the rest, levels", m.unmarked_change, 0.5)

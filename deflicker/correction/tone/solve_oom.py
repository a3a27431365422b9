"""Solving on a GPU that may run out of memory: without look-ahead, then on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from deflicker.core.oom import OomFallback, moved
from deflicker.correction.tone.solve import Solution, solve
from deflicker.correction.tone.state import State, Window
from deflicker.correction.tone.tone_options import ToneOptions


class Solver(Protocol):
    """Decides a window; see `solve`."""

    def __call__(self, window: Window, state: State | None, options: ToneOptions) -> Solution:
        """Its solution, on the window's device."""


class SolverWithOomFallback:
    """`solve`, which steps down where memory ends."""

    def __init__(self, solver: Solver = solve) -> None:
        self._solve = solver
        self._fallback = OomFallback("solving", ("without looking ahead", "on the CPU"))

    def __call__(self, window: Window, state: State | None, options: ToneOptions) -> Solution:
        """As `solve`."""
        return self._fallback.run(lambda level: self._solved(window, state, options, level))

    def _solved(self, window: Window, state: State | None, options: ToneOptions, level: int) -> Solution:
        if level == 0:
            return self._solve(window, state, options)
        short = without_lookahead(window)
        if level == 1:
            return self._solve(short, state, options)
        solution = self._solve(moved(short, "cpu"), moved(state, "cpu"), options)
        return moved(solution, window.proxies.device)


def without_lookahead(window: Window) -> Window:
    """The window's core alone."""
    links = window.core - (len(window.proxies) - len(window.forward_px))
    return replace(
        window,
        proxies=window.proxies[: window.core],
        forward_px=window.forward_px[:links],
        backward_px=window.backward_px[:links],
        long_matches=tuple(match for match in window.long_matches if match.picture < window.core),
        gaps=tuple(picture for picture in window.gaps if picture < window.core),
    )

"""Solving on a GPU that may run out of memory: without look-ahead, then on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from deflicker.core.oom import Ladder, moved
from deflicker.core.presets import Preset
from deflicker.core.settings import Settings
from deflicker.correction.tone.solve import Solution, solve
from deflicker.correction.tone.state import State, Window


class Solver(Protocol):
    """Decides a window; see `solve`."""

    def __call__(self, window: Window, state: State | None, preset: Preset, settings: Settings) -> Solution:
        """Its solution, on the window's device."""


class SparingSolver:
    """`solve`, which steps down where memory ends."""

    def __init__(self, solver: Solver = solve) -> None:
        self._solve = solver
        self._ladder = Ladder("solving", ("without looking ahead", "on the CPU"))

    def __call__(self, window: Window, state: State | None, preset: Preset, settings: Settings) -> Solution:
        """As `solve`."""
        return self._ladder.run(lambda rung: self._solved(window, state, preset, settings, rung))

    def _solved(self, window: Window, state: State | None, preset: Preset, settings: Settings, rung: int) -> Solution:
        if rung == 0:
            return self._solve(window, state, preset, settings)
        short = without_lookahead(window)
        if rung == 1:
            return self._solve(short, state, preset, settings)
        solution = self._solve(moved(short, "cpu"), moved(state, "cpu"), preset, settings)
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

"""Solving where memory ends: the core alone, and every frame still decided."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deflicker.core.presets import PRESETS
from deflicker.correction.tone.solve import Solution, solve
from deflicker.correction.tone.solve_oom import SolverWithOomFallback, without_lookahead
from deflicker.correction.tone.state import State, Window
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.motion.correspondence import LongMatch

FAST = ToneOptions.of(PRESETS["fast"])


def window(pictures: int = 12, core: int = 8, *, first: bool = True) -> Window:
    """A still picture under changing light."""
    generator = torch.Generator().manual_seed(2)
    still = 0.2 + 0.5 * torch.rand(1, 3, 64, 64, generator=generator)
    light = 0.8 + 0.2 * torch.rand(pictures, 1, 1, 1, generator=generator)
    none = torch.zeros(pictures - first, 2, 64, 64)
    far = tuple(LongMatch(at, none[0], torch.ones(1, 64, 64)) for at in (2, 10))
    return Window(still * light, none, none, core, far, gaps=(3, 9))


@pytest.mark.parametrize("first", [True, False])
def test_the_core_alone_is_a_window(first: bool) -> None:
    short = without_lookahead(window(first=first))
    assert len(short.proxies) == short.core == 8
    assert len(short.forward_px) == len(short.backward_px) == 8 - first
    assert [match.picture for match in short.long_matches] == [2]
    assert short.gaps == (3,)


class Room:
    """Solves windows of so many pictures."""

    def __init__(self, pictures: int) -> None:
        self.pictures = pictures
        self.seen: list[int] = []

    def __call__(self, window: Window, state: State | None, options: ToneOptions) -> Solution:
        self.seen.append(len(window.proxies))
        if len(window.proxies) > self.pictures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return solve(window, state, options)


def test_a_step_down_decides_the_same_frames() -> None:
    room = Room(8)
    solver = SolverWithOomFallback(room)
    solution = solver(window(), None, FAST)
    assert len(solution.corrections()) == 8
    assert all(solution.corrections())
    following = solver(window(first=False), solution.state, FAST)
    assert len(following.corrections()) == 8
    assert room.seen == [12, 8, 8]


def test_the_cpu_is_the_last_step() -> None:
    calls: list[Any] = []

    def twice_full(window: Window, state: State | None, options: ToneOptions) -> Solution:
        calls.append(window.proxies.device.type)
        if len(calls) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return solve(window, state, options)

    given = window()
    solution = SolverWithOomFallback(twice_full)(given, None, FAST)
    assert calls == ["cpu"] * 3
    expected = solve(without_lookahead(given), None, FAST)
    assert torch.equal(solution.log_gain, expected.log_gain)

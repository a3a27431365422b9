"""Cut the stream into windows of each shot, solve them one after the other, and hand every frame its correction."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from deflicker.core.presets import Preset
from deflicker.core.settings import Settings
from deflicker.correction.tone.solve import is_sound, solve
from deflicker.correction.tone.solve_oom import Solver
from deflicker.correction.tone.state import State, Window
from deflicker.correction.types import Corrected
from deflicker.metrics.flicker import FlickerSums
from deflicker.motion.correspondence import LongMatch
from deflicker.motion.tracking import Tracked
from deflicker.motion.warp import visibility

T = TypeVar("T")

log = logging.getLogger("deflicker")


@dataclass
class Toning(Generic[T]):
    """How far `correct` has come: all it remembers whenever it asks for a frame."""

    shot: _Shot[T] | None = None
    frames: int = 0
    """Frames that have come in."""


def correct(
    tracked: Iterable[Tracked[T]],
    preset: Preset,
    settings: Settings = Settings(),
    *,
    reference: Tensor | None = None,
    solver: Solver = solve,
    at: Toning[T] | None = None,
) -> Iterator[Corrected[T]]:
    """Yield every frame once, in order, at most a window later. Nothing is carried across a shot's end, and kept frames
    are not looked at.

    preset: the numbers to work with, which memory may have made smaller than those of the settings. reference: a proxy
    `[3, h, w]` with the look to anchor to; None to choose a frame of each shot. solver: `solve`, or one that knows what
    to do where memory ends. at: where an earlier run stopped, to go on there; it is kept up to date.
    """
    at = at or Toning()
    at.shot = at.shot or _Shot(preset, settings, reference, solver, at.frames)
    for frame in tracked:
        if frame.opens_shot:
            yield from at.shot.finish()
            at.shot = _Shot(preset, settings, reference, solver, at.frames)
        at.frames += 1
        yield from at.shot.add(frame)
    yield from at.shot.finish()


class _Shot(Generic[T]):
    """The pictures of one shot that wait to be decided, each with the held and the kept frames after it."""

    def __init__(
        self, preset: Preset, settings: Settings, reference: Tensor | None, solver: Solver, first: int
    ) -> None:
        self._preset, self._settings, self._reference, self._solver = preset, settings, reference, solver
        self._number = first
        """Of the next frame to hand out, counted from the video's first."""
        self._state: State | None = None
        self._waiting: deque[list[Tracked[T]]] = deque()

    def add(self, frame: Tracked[T]) -> Iterator[Corrected[T]]:
        if (frame.held or frame.kept) and self._waiting:
            self._waiting[-1].append(frame)
            return
        if frame.kept:
            self._number += 1
            yield _as_it_is(frame)
            return
        most = self._preset.core_frames + self._preset.lookahead_frames
        if len(self._waiting) == most or sum(map(len, self._waiting)) >= 2 * most:
            yield from self._decide(min(self._preset.core_frames, (len(self._waiting) + 1) // 2))
        self._waiting.append([frame])

    def finish(self) -> Iterator[Corrected[T]]:
        if self._waiting:
            yield from self._decide(len(self._waiting))

    def _decide(self, core: int) -> Iterator[Corrected[T]]:
        pictures = [frames[0] for frames in self._waiting]
        # Nothing is known before a shot's first window; in the middle of a shot that leaves one link without a start.
        links = [p for p in pictures[self._state is None :] if p.forward_px is not None]
        proxies = torch.stack([p.proxy for p in pictures])
        none = proxies.new_zeros(0, 2, *proxies.shape[-2:])
        forward_px = torch.stack([p.forward_px for p in links if p.forward_px is not None]) if links else none
        backward_px = torch.stack([p.backward_px for p in links if p.backward_px is not None]) if links else none
        far = tuple(
            LongMatch(number, p.to_key_px, visibility(p.to_key_px[None], p.from_key_px[None])[0])
            for number, p in enumerate(pictures)
            if p.to_key_px is not None and p.from_key_px is not None
        )
        gaps = tuple(number for number, p in enumerate(pictures) if p.after_gap)
        window = Window(proxies, forward_px, backward_px, core, far, self._reference, gaps)
        solution = self._solver(window, self._state, self._preset, self._settings)
        diverged = not is_sound(solution, window)
        if diverged:
            self._warn(core)
        # What diverged once would do so again from what it left behind.
        self._state = None if diverged else solution.state
        before: FlickerSums | None = None if diverged else solution.before
        for correction in [None] * core if diverged else solution.corrections():
            for frame in self._waiting.popleft():
                self._number += 1
                if frame.kept:
                    yield _as_it_is(frame)
                    continue
                after = solution.after if before is not None else None
                motion = frame.held, frame.forward_px, frame.backward_px
                yield Corrected(frame.item, correction, frame.opens_shot, before, after, *motion, diverged)
                before = None

    def _warn(self, core: int) -> None:
        last = self._number + sum(len(frames) for frames in islice(self._waiting, core)) - 1
        log.warning("frames %d to %d stay as they are: no sane correction was found for them", self._number, last)


def _as_it_is(frame: Tracked[T]) -> Corrected[T]:
    return Corrected(frame.item, None, frame.opens_shot, None, None, kept=frame.kept)

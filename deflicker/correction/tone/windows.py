"""First pass over the stream: cut each shot into windows, solve them one after the other, and correct tone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from deflicker.correction.tone.solve import Solution, is_sound, solve
from deflicker.correction.tone.solve_oom import Solver
from deflicker.correction.tone.state import State, Window
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.correction.types import FrameRecord
from deflicker.motion.correspondence import LongMatch
from deflicker.motion.warp import visibility

log = logging.getLogger("deflicker")


class ToneStage:
    """The stage that corrects tone. Frames come out in order, at most a window later.

    Nothing is carried across a shot's end, and skipped frames are not looked at.
    """

    def __init__(
        self,
        options: ToneOptions,
        *,
        reference: Tensor | None = None,
        solver: Solver = solve,
    ) -> None:
        """reference: a proxy `[3, h, w]` with the look to anchor to; None to choose a frame of each shot.

        solver: `solve`, or one that knows what to do where memory ends.
        """
        self._options, self._reference, self._solver = options, reference, solver
        self._waiting = deque[list[FrameRecord]]()
        """The shot's pictures that wait to be decided, each with the duplicates and skipped frames after it."""
        self._history: State | None = None
        """The end of what has been decided of the shot."""
        self._number = 0
        """Of the next frame to hand out, counted from the video's first."""

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame; the frames that are decided by now."""
        if record.starts_shot:
            yield from self.finish()
            self._history = None
        if not record.is_picture and self._waiting:
            self._waiting[-1].append(record)
            return
        if record.skip:
            self._number += 1
            yield record
            return
        most = self._options.core_frames + self._options.lookahead_frames
        if len(self._waiting) == most or sum(map(len, self._waiting)) >= 2 * most:
            yield from self._decide(min(self._options.core_frames, (len(self._waiting) + 1) // 2))
        self._waiting.append([record])

    def finish(self) -> Iterator[FrameRecord]:
        """The frames that are left."""
        if self._waiting:
            yield from self._decide(len(self._waiting))

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {"waiting": list(self._waiting), "history": self._history, "number": self._number}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._waiting, self._history, self._number = deque(state["waiting"]), state["history"], state["number"]

    def _decide(self, core: int) -> Iterator[FrameRecord]:
        window = self._window(core)
        solution = self._solver(window, self._history, self._options)
        diverged = not is_sound(solution, window)
        if diverged:
            self._warn(core)
        elif log.isEnabledFor(logging.DEBUG):
            self._log_energy(solution, core)
        # What diverged once would do so again from what it left behind.
        self._history = None if diverged else solution.state
        yield from self._corrected(None if diverged else solution, core)

    def _window(self, core: int) -> Window:
        pictures = [frames[0] for frames in self._waiting]
        # Nothing is known before a shot's first window; in the middle of a shot that leaves one link without a start.
        links = [p for p in pictures[self._history is None :] if p.forward_px is not None]
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
        return Window(proxies, forward_px, backward_px, core, far, self._reference, gaps)

    def _corrected(self, solution: Solution | None, core: int) -> Iterator[FrameRecord]:
        """The core's frames with their corrections; without any where the solution was not sound."""
        sums = (solution.before, solution.after) if solution else (None, None)
        for correction in solution.corrections() if solution else [None] * core:
            for record in self._waiting.popleft():
                self._number += 1
                if record.skip:
                    yield record
                    continue
                decided = replace(record, correction=correction, diverged=solution is None)
                yield replace(decided, flicker_before=sums[0], flicker_after=sums[1])
                sums = (None, None)

    def _warn(self, core: int) -> None:
        last = self._last_frame(core)
        log.warning("frames %d to %d stay unchanged: no valid correction was found for them", self._number, last)

    def _log_energy(self, solution: Solution, core: int) -> None:
        last = self._last_frame(core)
        for name, energy in solution.energy.items():
            numbers = self._number, last, name, float(energy.before), float(energy.after)
            log.debug("frames %d to %d: energy of the %s: %.4g before, %.4g after", *numbers)

    def _last_frame(self, core: int) -> int:
        return self._number + sum(len(frames) for frames in islice(self._waiting, core)) - 1

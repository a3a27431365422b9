"""Steady sharpness that pulses: take tone-corrected frames, add the detail that every n-th of them lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deflicker.core.memory import SHARPNESS_FRAMES
from deflicker.core.oom import OomFallback, moved
from deflicker.correction.apply import toned_colours, with_detail
from deflicker.correction.sharpness.pulses import Pulses, find_pulses
from deflicker.correction.sharpness.spectrum import BANDS, ROUNDING, change_of_detail, tile_powers
from deflicker.correction.types import FrameRecord
from deflicker.media.color import bt709_luma

BLOCK = 8
"""Pictures that are decided together."""
MOST_WAITING = 3 * SHARPNESS_FRAMES
"""Frames that wait at most, where one picture is shown for long."""
HISTORY = 32
"""Steps behind a block that are remembered."""
_LEAST_POWER = 1.0
"""Squared code values of 255: tiles whose mean detail has less power say nothing."""
_LEAST_TILES = 6


class SharpnessStage:
    """The stage that steadies sharpness which pulses with a period. Nothing is carried across a shot's end.

    Frames come out in order, at most `SHARPNESS_FRAMES` pictures, and `MOST_WAITING` frames, late.
    """

    def __init__(self, size: tuple[int, int], device: torch.device, fallback: OomFallback | None = None) -> None:
        """size: height and width at which detail is looked at; fallback: as `sharpness_fallback` gives it."""
        self._size, self._device = size, device
        self._fallback = fallback or sharpness_fallback()
        self._forget()

    def _forget(self) -> None:
        self._waiting: list[tuple[int, FrameRecord]] = []
        """Frames with the number of the picture that they show, counted from the first that is remembered."""
        self._pictures = 0
        """How many were counted so far."""
        self._powers: Tensor | None = None
        """Of the last picture, `[tiles, 2, BANDS]`."""
        self._steps: list[Tensor] = []
        """To each picture from the one before, `[2, BANDS]`."""

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame; the frames that are decided by now."""
        if record.starts_shot:
            yield from self.finish()
        if not record.is_duplicate:
            self._count(record)
        self._waiting.append((max(0, self._pictures - 1), record))
        while self._is_next_ready():
            yield from self._give(self._waiting[0][0] + BLOCK)

    def _is_next_ready(self) -> bool:
        """Whether enough was seen after it, or too many frames wait because a picture stands still."""
        waiting = len(self._waiting)
        return waiting > 0 and (self._pictures - self._waiting[0][0] > SHARPNESS_FRAMES or waiting > MOST_WAITING)

    def finish(self) -> Iterator[FrameRecord]:
        """The frames that are left."""
        yield from self._give(self._pictures + 1)
        self._forget()

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        waiting = [[number, record] for number, record in self._waiting]
        return {"waiting": waiting, "pictures": self._pictures, "powers": self._powers, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._waiting = [(number, record) for number, record in state["waiting"]]
        self._pictures, self._powers, self._steps = state["pictures"], state["powers"], list(state["steps"])

    def _count(self, record: FrameRecord) -> None:
        """A skipped frame takes its place in the period, but tells nothing."""
        picture, powers = record.picture, self._powers
        if picture is None:
            raise ValueError("a frame comes with its picture")
        if record.skip is None:
            found = self._fallback.run(lambda level: tile_powers(_luma(picture.rgb(self._size, self._where(level)))))
            powers = moved(found, self._device)
        self._steps.append(_step(self._powers, powers, self._device))
        self._powers = powers
        self._pictures += 1

    def _where(self, level: int) -> torch.device:
        """The device of a level of the fallback."""
        return torch.device("cpu") if level else self._device

    def _give(self, end: int) -> Iterator[FrameRecord]:
        """Decide and give out the frames of the pictures up to `end`."""
        pulses = find_pulses(torch.stack(self._steps[1:]).cpu().double()) if len(self._steps) > 1 else None
        given = [each for each in self._waiting if each[0] < end]
        self._waiting = self._waiting[len(given) :]
        for number, record in given:
            yield self._steadied(record, pulses, number)
        unneeded = max(0, min(end, self._pictures) - HISTORY)
        if unneeded:
            self._steps = self._steps[unneeded:]
            self._pictures -= unneeded
            self._waiting = [(number - unneeded, record) for number, record in self._waiting]

    def _steadied(self, record: FrameRecord, pulses: Pulses | None, number: int) -> FrameRecord:
        """The step that leads to picture `number` is row `number - 1` of those that pulses were found in."""
        gains = pulses.log_gains[(number - 1) % pulses.period] if pulses else None
        if gains is None or record.skip is not None or record.picture is None:
            return record
        picture = record.picture

        def found(level: int) -> Tensor:
            device = self._where(level)
            colours = toned_colours(picture.rgb(self._size, device), moved(record.correction, device))
            return change_of_detail(_luma(colours), gains.to(colours))

        detail = self._fallback.run(found)
        return replace(record, correction=with_detail(record.correction, detail))


def sharpness_fallback() -> OomFallback:
    """What becomes of sharpness where memory ends."""
    return OomFallback("sharpness", ("on the CPU",))


def _step(before: Tensor | None, after: Tensor | None, device: torch.device) -> Tensor:
    """How much more detail a picture has than the one before, `[2, BANDS]`, natural logarithm of amplitude, beside what
    its tone tells; from powers `[tiles, 2, BANDS]`. 0 where too little is seen."""
    if before is None or after is None:
        return torch.zeros(2, BANDS, device=device)
    telling = torch.maximum(before, after)[..., 1:].mean((1, 2)) >= _LEAST_POWER
    change = ((after + ROUNDING) / (before + ROUNDING)).log() / 2
    median = torch.where(telling[:, None, None], change, torch.nan).nanmedian(0).values
    return torch.where(telling.sum() >= _LEAST_TILES, median - median[:, :1], 0.0)


def _luma(rgb: Tensor) -> Tensor:
    return bt709_luma(rgb)[None]

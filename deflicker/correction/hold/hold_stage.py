"""Hold texture that is redrawn in every frame: take tone-corrected frames, add the detail that keeps what was drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from deflicker.core.oom import OomFallback, moved
from deflicker.correction.apply import toned_colours, with_detail
from deflicker.correction.hold.hold_bands import Bands
from deflicker.correction.hold.hold_decision import decide, typical
from deflicker.correction.hold.holding import Drawing, HoldOptions, Step, Way, first, held
from deflicker.correction.hold.texture_memory import TextureMemory
from deflicker.correction.types import FrameRecord, SpaceDecision
from deflicker.motion.warp import warp

OPENING = 12
"""Pictures of a shot from which it is decided whether it is held, and which of them is the first to be kept."""


@dataclass(frozen=True)
class HoldPlan:
    """What the stage is to do."""

    size: tuple[int, int]
    """Height and width at which texture is looked at."""
    device: torch.device
    always: bool
    """Hold every shot; otherwise those whose texture is redrawn."""
    options: HoldOptions = field(default_factory=HoldOptions)


class HoldStage:
    """The stage that holds the texture of shots that are redrawn in every frame, and lets all others pass.

    A shot's first pictures wait until it is decided. Nothing is carried across a shot's end.
    """

    def __init__(self, plan: HoldPlan, fallback: OomFallback | None = None) -> None:
        """fallback: as `hold_fallback` gives it."""
        self._plan, self._fallback = plan, fallback or hold_fallback()
        self._waiting: list[FrameRecord] = []
        self._decision: SpaceDecision | None = None
        """Of the present shot, where it is held."""
        self._decided = False
        self._memory: TextureMemory | None = None
        self._detail: Tensor | None = None
        """Of the last picture, for the frames that repeat it."""

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame; the frames that are decided by now."""
        if record.starts_shot:
            yield from self.finish()
            self._decided, self._decision, self._memory, self._detail = False, None, None, None
        if not self._decided:
            self._waiting.append(record)
            if sum(each.is_picture for each in self._waiting) == OPENING:
                yield from self._open()
        else:
            yield self._next(record)

    def finish(self) -> Iterator[FrameRecord]:
        """The frames that are left."""
        if self._waiting:
            yield from self._open()

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return {
            "waiting": self._waiting,
            "decided": self._decided,
            "decision": self._decision,
            "memory": self._memory,
            "detail": self._detail,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._waiting, self._decided, self._decision = list(state["waiting"]), state["decided"], state["decision"]
        self._memory, self._detail = state["memory"], state["detail"]

    def _open(self) -> list[FrameRecord]:
        """Decide about a shot by holding what has come of it."""
        waiting, self._waiting, self._decided = self._waiting, [], True
        pictures = [each for each in waiting if each.is_picture]
        details = self._details(pictures) if len(pictures) > 1 else []
        if self._decision is None:
            return [_passed(each) for each in waiting]
        found, at = [], -1
        for each in waiting:
            at += each.is_picture
            self._detail = details[at] if at >= 0 else None
            found.append(self._detailed(each))
        return found

    def _details(self, pictures: Sequence[FrameRecord]) -> list[Tensor | None]:
        """The detail of a shot's first pictures; sets the decision and, where the shot is held, its memory."""
        drawings = [self._drawing(each) for each in pictures]
        ways = [self._way(each) for each in pictures[1:]]
        textures = [each.bands.texture for each in drawings]
        key = typical(
            textures,
            [(warp(textures[at + 1], way.there_px), warp(textures[at], way.back_px)) for at, way in enumerate(ways)],
        )
        steps: list[Step | None] = [None] * len(pictures)
        memory = first(drawings[key])
        for at in range(key - 1, -1, -1):
            steps[at] = step = self._held(memory, drawings[at], ways[at].reversed())
            memory = step.memory
        memory = first(drawings[key])
        for at in range(key + 1, len(pictures)):
            steps[at] = step = self._held(memory, drawings[at], ways[at - 1])
            memory = step.memory
        signs = [step.redrawing for step in steps if step]
        self._decision = decide(signs, guided=drawings[0].guide is not None, always=self._plan.always)
        self._memory = memory if self._decision else None
        return [step.detail if step else None for step in steps]

    def _next(self, record: FrameRecord) -> FrameRecord:
        """The next frame of a shot that is decided."""
        if self._memory is None:
            return _passed(record)
        if record.is_picture:
            step = self._held(self._memory, self._drawing(record), self._way(record))
            self._memory, self._detail = step.memory, step.detail
        return self._detailed(record)

    def _held(self, memory: TextureMemory, drawing: Drawing, way: Way) -> Step:
        def work(level: int) -> Step:
            given = (memory, drawing, way)
            return held(*(moved(given, "cpu") if level else given), self._plan.options)

        return self._fallback.run(work)

    def _drawing(self, record: FrameRecord) -> Drawing:
        if record.picture is None:
            raise ValueError("texture is looked at in the frame itself: its record has none")
        rgb = toned_colours(record.picture.rgb(self._plan.size, self._plan.device), record.correction)
        guide = record.guide_luma
        light = None if guide is None else guide.to(rgb.device, rgb.dtype)[None, None] / 255
        return Drawing(Bands.of(rgb[None]), light)

    def _way(self, record: FrameRecord) -> Way:
        """Motion between a picture and the one before it."""
        if record.forward_px is None or record.backward_px is None:
            raise ValueError("a picture that opens no shot comes with its motion")
        return Way.of(record.forward_px[None], record.backward_px[None], self._plan.size)

    def _detailed(self, record: FrameRecord) -> FrameRecord:
        record = _passed(record)
        if record.skip is not None or self._detail is None:
            return replace(record, texture=self._decision)
        if not self._detail.isfinite().all():
            return replace(record, diverged=True)
        return replace(record, correction=with_detail(record.correction, self._detail), texture=self._decision)


def _passed(record: FrameRecord) -> FrameRecord:
    """A record without what only this stage looks at."""
    return record if record.guide_luma is None else replace(record, guide_luma=None)


def hold_fallback() -> OomFallback:
    """What becomes of held texture where memory ends."""
    return OomFallback("held texture", ("on the CPU",))

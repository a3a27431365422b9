"""Second pass over the stream: take tone-corrected frames, add the detail that removes texture boil."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from deflicker.core.oom import OomFallback
from deflicker.correction.apply import with_detail
from deflicker.correction.texture.boil_estimate import Boil, boiling
from deflicker.correction.texture.boil_gate import numbers, opening, usual_boil
from deflicker.correction.texture.comparison import Bands, Comparison, redrawn_energy
from deflicker.correction.texture.keyframe_locking import FAR, KEYS_APART
from deflicker.correction.texture.keyframes import lock, tell
from deflicker.correction.texture.luma_chroma import LumaChroma, change_of_rgb
from deflicker.correction.texture.pictures import Picture, Pictures, Sight
from deflicker.correction.texture.reference_hold import Anchor, Held
from deflicker.correction.texture.sharpness_bound import bound_sharpness
from deflicker.correction.texture.space import Renewal
from deflicker.correction.texture.temporal_attention import load_attention
from deflicker.correction.types import FrameRecord, SpaceDecision

log = logging.getLogger("deflicker")

BLOCK = KEYS_APART
"""Pictures looked at together: the first, a key, alone where nothing boils."""
MEASURED = 2
"""Of the pictures of what boils, every how many are measured."""
AHEAD = 8
"""Pictures whose boil is known before one is given out."""


class TextureStage:
    """The stage that completes a frame's correction by the detail that takes its boil away.

    Nothing is carried across a shot's end.
    """

    def __init__(
        self,
        sight: Sight,
        *,
        locks: bool = True,
        renewal: Renewal | None = None,
        fallback: OomFallback | None = None,
    ) -> None:
        """sight: how pictures are looked at, and how many neighbours each is compared with.

        locks: whether texture that boils with a memory is locked to keys, which takes a reach of 3. renewal: finds
        detail in latents, of colours too, where something boils; None for pixels alone.
        fallback: as `texture_fallback` gives it.
        """
        self._sight, self._renewal = sight, renewal
        self._locks = locks and sight.reach >= FAR[0]
        self._fallback = fallback or texture_fallback()
        self._shot = self._new_shot()

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame; the frames whose texture is decided by now."""
        if record.starts_shot:
            yield from self._shot.finish()
            self._shot = self._new_shot()
        if record.texture is not None:  # held already (`correction.hold`)
            yield record
        else:
            yield from self._shot.add(record)

    def finish(self) -> Iterator[FrameRecord]:
        """The frames that are left."""
        yield from self._shot.finish()

    def state_dict(self) -> dict[str, object]:
        """All that it remembers."""
        return self._shot.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._shot.load_state_dict(state)

    def _new_shot(self) -> _Shot:
        return _Shot(Pictures(self._sight), self._locks, self._fallback, self._renewal)


class _Shot:
    """The pictures of one shot between the first that is still needed and the last that has arrived."""

    def __init__(self, pictures: Pictures, locks: bool, fallback: OomFallback, renewal: Renewal | None) -> None:
        self.pictures, self._reach, self._locks = pictures, pictures.reach, locks
        self._fallback = fallback
        self._renewal = renewal
        self._choice: SpaceDecision | None = None
        """Where the shot's texture is steadied, once some of it boils."""
        self._held: Held | None = None
        """What texture is held to, once the first picture is steadied."""
        self._looked_at = self._given = 0
        self._suspected = False

    def state_dict(self) -> dict[str, object]:
        """All that it remembers; what can be seen again is left out."""
        numbers = {"looked_at": self._looked_at, "given": self._given, "suspected": self._suspected}
        return {"choice": self._choice, "held": self._held, **numbers, **self.pictures.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._choice, self._held, self._suspected = state["choice"], state["held"], state["suspected"]
        self._looked_at, self._given = state["looked_at"], state["given"]
        self.pictures.load_state_dict(state)

    def add(self, frame: FrameRecord) -> Iterator[FrameRecord]:
        if not frame.is_picture and self.pictures:
            self.pictures[-1].frames.append(frame)
            return
        if frame.skip:
            yield frame
            return
        self.pictures.append(Picture(frame))
        while len(self.pictures) >= self._looked_at + BLOCK + self._reach:
            self._look(self._looked_at + BLOCK)
            yield from self._give(self._looked_at - AHEAD)

    def finish(self) -> Iterator[FrameRecord]:
        while self._looked_at < len(self.pictures):
            self._look(min(self._looked_at + BLOCK, len(self.pictures)))
        last = len(self.pictures) - 1
        self._lock(last - (self.pictures.forgotten + last) % BLOCK)
        yield from self._give(len(self.pictures))

    def _boils(self, end: int) -> bool:
        """Whether anything in the block that ends here does."""
        return numbers([self._gate(self._looked_at, end)])[0] > 0

    def _look(self, end: int) -> None:
        """Look at the next block: at its first picture and, where it or the block before boils, at every picture that
        has not been given out yet."""
        self._study(self._looked_at)
        if self._locks:
            tell(self.pictures, self._looked_at, self._fallback)
            self._lock(self._looked_at - BLOCK)
        if self._suspected or self._boils(end):
            for index in range(self._given, end):
                if (self.pictures.forgotten + index) % MEASURED == 0:
                    self._study(index)
                self._attend(index)
            self._renew(end)
        self._suspected, self._looked_at = self._boils(end), end

    def _give(self, end: int) -> Iterator[FrameRecord]:
        given = range(self._given, end)
        openings = numbers([self._gate(index - AHEAD, index + AHEAD + 1) for index in given])
        details = [self.pictures[at].detail(gate) for at, gate in zip(given, openings, strict=True)]
        sound = numbers([detail.isfinite().all().float() if detail is not None else None for detail in details])
        wrong = [detail is not None and not finite for detail, finite in zip(details, sound, strict=True)]
        if any(wrong):
            log.warning("the texture of %d pictures stays unchanged: no valid detail was found for them", sum(wrong))
        for index, detail, insane in zip(given, details, wrong, strict=True):
            picture = self.pictures[index]
            for frame in picture.frames:
                if frame.skip is not None or detail is None:
                    yield frame
                else:
                    yield replace(frame, diverged=True) if insane else self._detailed(frame, detail)
            picture.frames = picture.frames[:1]
        self._given = max(self._given, end)
        self._forget()

    def _detailed(self, frame: FrameRecord, detail: Tensor) -> FrameRecord:
        return replace(frame, correction=with_detail(frame.correction, detail), texture=self._choice)

    def _forget(self) -> None:
        """Drop what no picture to come will ask for."""
        self.pictures.forget_sights(self._looked_at - (max(self._reach, BLOCK) if self._locks else self._reach))
        unneeded = min(self._given - AHEAD, self._looked_at - self._reach)
        if unneeded > 0:
            self.pictures.forget(unneeded)
            self._given -= unneeded
            self._looked_at -= unneeded

    def _gate(self, first: int, end: int) -> Tensor | None:
        """How far the gate is open for pictures `first … end - 1` together, 0 … 1: the usual one counts, no odd one.

        None, which is closed, where none of them was looked at.
        """
        return opening(self._boils_of(first, end))

    def _boils_of(self, first: int, end: int) -> list[Boil]:
        return [p.boil for p in self.pictures[max(0, first) : end] if p.boil]

    def _study(self, index: int) -> None:
        picture, last = self.pictures[index], len(self.pictures) - 1
        if picture.looked or last < 2:
            return
        picture.looked = True
        inner = max(1, min(index, last - 1))
        if inner != index:
            self._study(inner)
        picture.boil = self._fallback.run(lambda level: self._boil(index, inner, on_cpu=level > 0))

    def _boil(self, index: int, inner: int, *, on_cpu: bool) -> Boil | None:
        """Boil of a picture, at the shot's edge that of the one beside it."""
        if on_cpu:
            self.pictures.spare()
        if inner != index:
            return self.pictures[inner].boil
        return boiling(self.pictures.view(index).luma, self.pictures.neighbours(index))

    def _attend(self, index: int) -> None:
        """Decide a picture, once; pictures come in order, as each remembers the one before."""
        picture = self.pictures[index]
        if picture.change is None and len(self.pictures) > 2:
            picture.change = self._fallback.run(lambda level: self._attended(index, on_cpu=level > 0))

    def _attended(self, index: int, *, on_cpu: bool) -> LumaChroma:
        if on_cpu:
            self.pictures.spare()
        frame = self.pictures.view(index).planes
        seen = Comparison.of(frame, self.pictures.values(index))
        change = load_attention(str(frame.luma.device))(seen)
        return Bands(bound_sharpness(seen.own_bands, change.luma, redrawn_energy(seen)), change.chroma).merged(frame)

    def _lock(self, key: int) -> None:
        """Lock the pictures between a key, if it is one, and the next."""
        if self._locks and key >= 0:
            lock(self.pictures, key, key + BLOCK, self._fallback)

    def _renew(self, end: int) -> None:
        """Find the detail of the pictures up to `end` in latents, where the shot's texture is steadied there."""
        if self._renewal is None:
            return
        if self._choice is None and (found := usual_boil(self._boils_of(self._looked_at, end))) is not None:
            self._choice = self._renewal.choose(*found.tolist())
        if self._choice is not None and self._choice.space != "pixel" and not self.pictures.spares:
            for index in range(self._given, end):
                self._renew_one(index, self._renewal, self._choice)

    def _renew_one(self, index: int, renewal: Renewal, choice: SpaceDecision) -> None:
        """Put the detail that latents give in the place of what the pixels gave, or halfway between the two."""
        picture = self.pictures[index]
        boil = picture.boil or self.pictures[max(0, index - 1)].boil
        if picture.renewed or boil is None or picture.change is None:
            return
        picture.renewed, attended = True, change_of_rgb(picture.change)

        def found(level: int) -> Tensor:
            if level > 0:  # no memory for it: what the pixels gave stays
                return attended
            around, aligned = self.pictures.neighbours(index), self.pictures.aligned_colours(index)
            anchor = self._anchor(index, renewal.hold)
            return renewal.texture.residual(self.pictures.colours(index), aligned, around, boil, anchor)

        residual = self._fallback.run(found)
        picture.renewal = (residual + attended) / 2 if choice.space == "both" else residual
        if renewal.hold > 0 and self.pictures.forgotten + index == 0:
            self._held = Held(self.pictures.colours(index) + picture.renewal, self.pictures.view(index).even)

    def _anchor(self, index: int, hold: float) -> Anchor | None:
        """The shot's first picture as this one should look; None where it is among its neighbours, or out of sight."""
        pictures, number = self.pictures, self.pictures.forgotten + index
        if self._held is None or number == 0:
            return None
        sight = pictures.link(index), pictures.view(index)
        self._held = None if pictures.spares else self._held.seen_from(number, *sight)
        return self._held.anchor(hold) if self._held is not None and number > self._reach else None


def texture_fallback() -> OomFallback:
    """What becomes of texture where memory ends."""
    return OomFallback("texture", ("on the CPU",))

"""Second pass over the stream, for texture: frames whose tone is settled in, the same frames with their detail out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from deflicker.correction.apply import Correction
from deflicker.correction.holding import Anchor, Held
from deflicker.correction.opening import numbers, opening, usual_boil
from deflicker.correction.picture import Picture
from deflicker.correction.renewal import Choice, Renewal
from deflicker.correction.stream import Corrected
from deflicker.correction.texture import Boil, Neighbours, TextureOptions, boiling, boiling_alike
from deflicker.correction.views import Link, View, walked
from deflicker.ladder import Ladder, moved
from deflicker.motion.warp import warp

T = TypeVar("T")

log = logging.getLogger("deflicker")
LumaOf = Callable[[T, Correction | None], Tensor]
"""Luma `[H, W]` in [0, 1] of an item with its correction applied, at the size at which texture is looked at."""

BLOCK = 8
"""Pictures looked at together: the first alone where nothing boils."""
AHEAD = 8
"""Pictures whose boil is known before one is given out."""


@dataclass
class Steadying(Generic[T]):
    """How far `steady` has come: all it remembers whenever it asks for a frame."""

    shot: _Shot[T] | None = None


def steady(
    frames: Iterable[Corrected[T]],
    luma_of: LumaOf[T],
    *,
    reach: int,
    options: TextureOptions = TextureOptions(),
    renewal: Renewal[T] | None = None,
    ladder: Ladder | None = None,
    at: Steadying[T] | None = None,
) -> Iterator[Corrected[T]]:
    """Yield every frame once, in order, its correction completed by the detail that takes its boil away.

    reach: neighbours compared with on each side; 0 looks at nothing. renewal: finds detail in latents where something
    boils; None for pixels alone. Nothing is carried across a shot's end. at: where an earlier run stopped, to go on
    there; it is kept up to date. ladder: see `step_down`.
    """
    if reach == 0:
        yield from frames
        return
    at, ladder = at or Steadying(), ladder or step_down()
    at.shot = at.shot or _Shot(luma_of, reach, options, ladder, renewal)
    for frame in frames:
        if frame.opens_shot:
            yield from at.shot.finish()
            at.shot = _Shot(luma_of, reach, options, ladder, renewal)
        yield from at.shot.add(frame)
    yield from at.shot.finish()


class _Shot(Generic[T]):
    """The pictures of one shot between the first that is still needed and the last that has arrived."""

    def __init__(
        self,
        luma_of: LumaOf[T],
        reach: int,
        options: TextureOptions,
        ladder: Ladder,
        renewal: Renewal[T] | None,
    ) -> None:
        self._luma_of, self._reach, self._options, self._ladder = luma_of, reach, options, ladder
        self._renewal = renewal
        self._choice: Choice | None = None
        """Where the shot's texture is steadied, once some of it boils."""
        self._spares = False
        """Whether everything is on the CPU, because there is no memory left for it elsewhere."""
        self._pictures: list[Picture[T]] = []
        self._forgotten = 0
        """Pictures of the shot before those."""
        self._held: Held | None = None
        """What texture is held to, once the first picture is steadied."""
        self._looked_at = self._given = 0
        self._suspected = False

    def add(self, frame: Corrected[T]) -> Iterator[Corrected[T]]:
        if (frame.held or frame.kept) and self._pictures:
            self._pictures[-1].frames.append(frame)
            return
        if frame.kept:
            yield frame
            return
        self._pictures.append(Picture(frame))
        while len(self._pictures) >= self._looked_at + BLOCK + self._reach:
            self._look(self._looked_at + BLOCK)
            yield from self._give(self._looked_at - AHEAD)

    def finish(self) -> Iterator[Corrected[T]]:
        while self._looked_at < len(self._pictures):
            self._look(min(self._looked_at + BLOCK, len(self._pictures)))
        yield from self._give(len(self._pictures))

    def _boils(self, end: int) -> bool:
        """Whether anything in the block that ends here does."""
        return numbers([self._gate(self._looked_at, end)])[0] > 0

    def _look(self, end: int) -> None:
        """Look at the next block: at its first picture and, where it or the block before boils, at every picture that
        has not been given out yet."""
        self._study(self._looked_at)
        if self._suspected or self._boils(end):
            for index in range(self._given, end):
                self._study(index)
            self._renew(end)
        self._suspected, self._looked_at = self._boils(end), end

    def _give(self, end: int) -> Iterator[Corrected[T]]:
        given = range(self._given, end)
        openings = numbers([self._gate(index - AHEAD, index + AHEAD + 1) for index in given])
        boils = [self._pictures[at].boil if gate > 0 else None for at, gate in zip(given, openings, strict=True)]
        sound = numbers([boil.residual.isfinite().all().float() if boil else None for boil in boils])
        if wrong := sum(1 for boil, finite in zip(boils, sound, strict=True) if boil and not finite):
            log.warning("the texture of %d pictures stays as it is: no sane detail was found for them", wrong)
        for index, how_far, boil, finite in zip(given, openings, boils, sound, strict=True):
            picture = self._pictures[index]
            detail = boil.residual[0] * how_far if boil and finite else None
            for frame in picture.frames:
                if frame.kept is not None:
                    yield frame
                elif boil and not finite:
                    yield replace(frame, diverged=True)
                else:
                    yield frame if detail is None else self._detailed(frame, detail)
            picture.frames = picture.frames[:1]
        self._given = max(self._given, end)
        self._forget()

    def _detailed(self, frame: Corrected[T], detail: Tensor) -> Corrected[T]:
        correction = frame.correction or Correction(detail.new_zeros(3, 1, 1))
        detail = detail.to(correction.log_gain.device)
        return replace(frame, correction=replace(correction, detail=detail), texture=self._choice)

    def _forget(self) -> None:
        """Drop what no picture to come will ask for."""
        for picture in self._pictures[: max(0, self._looked_at - self._reach)]:
            picture.view = picture.colours = picture.link = None
        unneeded = min(self._given - AHEAD, self._looked_at - self._reach)
        if unneeded > 0:
            del self._pictures[:unneeded]
            self._forgotten += unneeded
            self._given -= unneeded
            self._looked_at -= unneeded

    def _gate(self, first: int, end: int) -> Tensor | None:
        """How far the gate is open for pictures `first … end - 1` together, 0 … 1: the usual one counts, no odd one.

        None, which is closed, where none of them was looked at.
        """
        return opening(self._boils_of(first, end))

    def _boils_of(self, first: int, end: int) -> list[Boil]:
        return [p.boil for p in self._pictures[max(0, first) : end] if p.boil]

    def _study(self, index: int) -> None:
        picture, last = self._pictures[index], len(self._pictures) - 1
        if picture.looked or last < 2:
            return
        picture.looked = True
        inner = max(1, min(index, last - 1))
        if inner != index:
            self._study(inner)
        picture.boil = self._ladder.run(lambda rung: self._boil(index, inner, on_cpu=rung > 0))

    def _boil(self, index: int, inner: int, *, on_cpu: bool) -> Boil | None:
        """Boil of a picture, at the shot's edge that of the one beside it."""
        if on_cpu and not self._spares:
            self._spares = True
            for each in self._pictures:
                each.view = each.colours = each.link = None
                each.boil = moved(each.boil, "cpu")
        if inner == index:
            return boiling(self._view(index).luma, self._neighbours(index), self._options)
        alike = self._pictures[inner].boil
        return alike and boiling_alike(self._view(index).luma, self._neighbours(index), alike, self._options)

    def _renew(self, end: int) -> None:
        """Find the detail of the pictures up to `end` in latents, where the shot's texture is steadied there."""
        if self._renewal is None:
            return
        if self._choice is None and (found := usual_boil(self._boils_of(self._looked_at, end))) is not None:
            self._choice = self._renewal.choose(*found.tolist())
        if self._choice is not None and self._choice.space != "pixel" and not self._spares:
            for index in range(self._given, end):
                self._renew_one(index, self._renewal, self._choice)

    def _renew_one(self, index: int, renewal: Renewal[T], choice: Choice) -> None:
        """Put the detail that latents give in the place of what the pixels gave, or halfway between the two."""
        picture = self._pictures[index]
        if picture.renewed or picture.boil is None:
            return
        picture.renewed, boil = True, picture.boil

        def found(rung: int) -> Tensor:
            if rung > 0:  # no memory for it: what the pixels gave stays
                return boil.residual
            around = self._neighbours(index)
            assert around.flow_px is not None
            there = torch.cat([self._colours(index + offset, renewal) for offset in around.offsets])
            aligned = warp(there, around.flow_px, "bicubic")
            anchor = self._anchor(index, renewal.hold)
            return renewal.texture.residual(self._colours(index, renewal), aligned, around, boil, anchor)

        residual = self._ladder.run(found)
        if choice.space == "both":
            residual = (residual + boil.residual) / 2
        picture.boil = replace(boil, residual=residual)
        if renewal.hold > 0 and self._forgotten + index == 0:
            self._held = Held(self._colours(index, renewal) + residual, self._view(index).even)

    def _anchor(self, index: int, hold: float) -> Anchor | None:
        """The shot's first picture as this one should look; None where it is among its neighbours, or out of sight."""
        number = self._forgotten + index
        if self._held is None or number == 0:
            return None
        self._held = None if self._spares else self._held.seen_from(number, self._link(index), self._view(index))
        return self._held.anchor(hold) if self._held is not None and number > self._reach else None

    def _colours(self, index: int, renewal: Renewal[T]) -> Tensor:
        picture = self._pictures[index]
        if picture.colours is None:
            frame = picture.frames[0]
            picture.colours = renewal.colours_of(frame.item, frame.correction)[None]
        return picture.colours

    def _neighbours(self, index: int) -> Neighbours:
        """The pictures around one, aligned to it."""
        ahead, behind = self._paths(index, 1), self._paths(index, -1)
        offsets = (*range(1, len(ahead) + 1), *range(-1, -len(behind) - 1, -1))
        flows, visible = zip(*ahead, *behind, strict=True)
        there = torch.cat([self._view(index + offset).luma for offset in offsets])
        links = [self._link(index + 1)] if ahead else []
        links += [self._link(index).reversed()] if behind else []
        error_px = torch.stack([link.there_error_px for link in links]).mean(0)
        flow_px = torch.cat(flows)
        return Neighbours(offsets, warp(there, flow_px, "bicubic"), torch.cat(visible), error_px, flow_px)

    def _paths(self, index: int, sign: int) -> list[tuple[Tensor, Tensor]]:
        """Flow and visibility from a picture to each of its neighbours on one side, nearest first."""
        last = index + sign * self._reach
        if sign > 0:
            return walked(map(self._link, range(index + 1, min(last + 1, len(self._pictures)))))
        return walked(self._link(later).reversed() for later in range(index, max(0, last), -1))

    def _view(self, index: int) -> View:
        picture = self._pictures[index]
        if picture.view is None:
            frame = picture.frames[0]
            picture.view = View.of(self._here(self._luma_of(frame.item, frame.correction)))
        return picture.view

    def _link(self, index: int) -> Link:
        picture = self._pictures[index]
        if picture.link is None:
            frame = picture.frames[0]
            if frame.forward_px is None or frame.backward_px is None:
                raise ValueError("a picture that opens no shot comes with its motion")
            flows = self._here(frame.forward_px), self._here(frame.backward_px)
            picture.link = Link.between(self._view(index - 1), self._view(index), *flows)
        return picture.link

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.cpu() if self._spares else tensor


def step_down() -> Ladder:
    """What becomes of texture where memory ends."""
    return Ladder("texture", ("on the CPU",))

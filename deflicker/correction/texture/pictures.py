"""The pictures of a shot on their way through the second pass, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from deflicker.core.oom import moved as to
from deflicker.correction.apply import Correction
from deflicker.correction.texture.boil import Boil, Neighbours
from deflicker.correction.texture.compared import Values
from deflicker.correction.texture.keyframe_locking import Lasting
from deflicker.correction.texture.laplacian import shrink
from deflicker.correction.texture.links import Link, View, walked
from deflicker.correction.texture.planes import Planes, change_of_rgb, moved
from deflicker.correction.texture.temporal_attention import MEMORY
from deflicker.correction.types import Corrected
from deflicker.motion.warp import warp

T = TypeVar("T")

LumaOf = Callable[[T, Correction | None], Tensor]
"""Luma `[H, W]` in [0, 1] of an item with its correction applied, at the size at which texture is looked at."""
ColoursOf = Callable[[T, Correction | None], Tensor]
"""R'G'B' `[3, H, W]` in [0, 1] of it likewise."""


class Picture(Generic[T]):
    """A picture of a shot with the frames that show it, and what is known of it so far."""

    def __init__(self, frame: Corrected[T]) -> None:
        self.frames = [frame]
        self.looked = self.renewed = False
        self.boil: Boil | None = None
        self.change: Planes | None = None
        """What takes its boil away."""
        self.renewal: Tensor | None = None
        """`[1, 3, H, W]` R'G'B': what does so instead, where it was found in latents."""
        self.lasting: Lasting | None = None
        """Of a key."""
        self.locked: Tensor | None = None
        """`[1, 3, H, W]`: what locks its texture to the keys beside it."""
        self.how_far_locked = 0.0
        self.view: View | None = None
        self.colours: Tensor | None = None
        """`[1, 3, H, W]` in [0, 1], tone corrected; only where something boils."""
        self.link: Link | None = None
        """From the picture before to this one."""

    def detail(self, how_far: float) -> Tensor | None:
        """What is added to the picture, `[3, H, W]`: what averaging gives, `how_far` of it, where it is not locked.

        None where its texture stays.
        """
        averaged = None
        if self.change is not None and how_far > 0:
            full = change_of_rgb(self.change) if self.renewal is None else self.renewal
            averaged = full[0] * (how_far * (1 - self.how_far_locked))
        if self.locked is None:
            return averaged
        return self.locked[0] if averaged is None else averaged + self.locked[0]

    def forget_sight(self) -> None:
        """Leave out what is large and can be seen again."""
        self.view = self.colours = self.link = None

    def __getstate__(self) -> dict[str, Any]:
        """To be kept for a later run."""
        return self.__dict__ | {"view": None, "colours": None, "link": None}


class Pictures(list[Picture[T]]):
    """The pictures of a shot between the first that is still needed and the last that has arrived."""

    def __init__(self, luma_of: LumaOf[T], colours_of: ColoursOf[T] | None, reach: int) -> None:
        super().__init__()
        self._luma_of, self._colours_of, self._reach = luma_of, colours_of, reach
        self.forgotten = 0
        """Pictures of the shot before those."""
        self.spares = False
        """Whether everything is on the CPU, because there is no memory left for it elsewhere."""
        self.openings: list[Tensor] = []
        """How far each of the latest keys lets texture be locked, 0 … 1; see `keys`."""
        self._latest: tuple[Picture[T], Neighbours] | None = None

    def view(self, index: int) -> View:
        """What texture is compared by."""
        picture = self[index]
        if picture.view is None:
            frame = picture.frames[0]
            if self._colours_of is None:
                picture.view = View.of(self._here(self._luma_of(frame.item, frame.correction)))
            else:
                picture.view = View.of_colours(self._here(self._colours_of(frame.item, frame.correction)))
        return picture.view

    def colours(self, index: int) -> Tensor:
        """`[1, 3, H, W]` in [0, 1]."""
        picture = self[index]
        if picture.colours is None:
            frame = picture.frames[0]
            if self._colours_of is None:
                picture.colours = self.view(index).luma.expand(-1, 3, -1, -1)
            else:
                picture.colours = self._here(self._colours_of(frame.item, frame.correction))[None]
        return picture.colours

    def link(self, index: int) -> Link:
        """Motion from the picture before to this one."""
        picture = self[index]
        if picture.link is None:
            frame = picture.frames[0]
            if frame.forward_px is None or frame.backward_px is None:
                raise ValueError("a picture that opens no shot comes with its motion")
            flows = self._here(frame.forward_px), self._here(frame.backward_px)
            picture.link = Link.between(self.view(index - 1), self.view(index), *flows)
        return picture.link

    def neighbours(self, index: int) -> Neighbours:
        """The pictures around one, aligned to it. The latest are kept, as a key is asked about twice."""
        if self._latest is None or self._latest[0] is not self[index]:
            self._latest = self[index], self._aligned(index)
        return self._latest[1]

    def _aligned(self, index: int) -> Neighbours:
        ahead, behind = self._paths(index, 1), self._paths(index, -1)
        offsets = (*range(1, len(ahead) + 1), *range(-1, -len(behind) - 1, -1))
        flows, visible = zip(*ahead, *behind, strict=True)
        there = torch.cat([self.view(index + offset).luma for offset in offsets])
        links = [self.link(index + 1)] if ahead else []
        links += [self.link(index).reversed()] if behind else []
        error_px = torch.stack([link.there_error_px for link in links]).mean(0)
        flow_px = torch.cat(flows)
        return Neighbours(offsets, warp(there, flow_px, "bicubic"), torch.cat(visible), error_px, flow_px)

    def aligned_colours(self, index: int) -> Tensor:
        """`[N, 3, H, W]`: the pictures around one, aligned to it, in the order of `neighbours`."""
        around = self.neighbours(index)
        there = torch.cat([self.colours(index + offset) for offset in around.offsets])
        assert around.flow_px is not None
        return warp(there, around.flow_px, "bicubic")

    def values(self, index: int) -> Values:
        """What the attention compares a picture with: those around it, and the one before as it was decided."""
        around = self.neighbours(index)
        assert around.flow_px is not None
        chroma = torch.cat([self.view(index + offset).planes.chroma for offset in around.offsets])
        chroma = warp(chroma, shrink(around.flow_px) / 2, "bicubic")
        luma, visible, offsets = around.luma, around.visible, around.offsets
        if index > 0 and (change := self[index - 1].change) is not None:
            link, own = self.link(index), self.view(index).planes
            memory = moved(self.view(index - 1).planes + change, link.back_px)
            sane = memory.luma.isfinite()
            luma = torch.cat([luma, torch.where(sane, memory.luma, own.luma)])
            chroma = torch.cat([chroma, torch.where(memory.chroma.isfinite(), memory.chroma, own.chroma)])
            visible, offsets = torch.cat([visible, link.back_visible * sane]), (*offsets, MEMORY)
        return Values(Planes(luma[None], chroma[None]), visible[None], around.flow_error_px, offsets)

    def _paths(self, index: int, sign: int) -> list[tuple[Tensor, Tensor]]:
        """Flow and visibility from a picture to each of its neighbours on one side, nearest first."""
        last = index + sign * self._reach
        if sign > 0:
            return walked(map(self.link, range(index + 1, min(last + 1, len(self)))))
        return walked(self.link(later).reversed() for later in range(index, max(0, last), -1))

    def spare(self) -> None:
        """From here on everything is on the CPU."""
        if self.spares:
            return
        self.spares, self._latest = True, None
        for each in self:
            each.forget_sight()
            each.boil, each.lasting = to(each.boil, "cpu"), to(each.lasting, "cpu")
            each.locked, each.change, each.renewal = (
                to(kept, "cpu") for kept in (each.locked, each.change, each.renewal)
            )
        self.openings = to(self.openings, "cpu")

    def forget_sights(self, end: int) -> None:
        """Leave out what is large and can be seen again of the pictures before `end`."""
        self._latest = None
        for picture in self[: max(0, end)]:
            picture.forget_sight()

    def forget(self, count: int) -> None:
        """Let the first pictures go."""
        del self[:count]
        self.forgotten += count

    def __getstate__(self) -> dict[str, Any]:
        """To be kept for a later run."""
        return self.__dict__ | {"_latest": None}

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.cpu() if self.spares else tensor

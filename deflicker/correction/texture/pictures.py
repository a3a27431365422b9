"""The pictures of a shot on their way through the second pass, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from deflicker.core.oom import moved
from deflicker.correction.apply import toned_colours
from deflicker.correction.texture.boil_estimate import Boil, Neighbours
from deflicker.correction.texture.comparison import Values
from deflicker.correction.texture.keyframe_locking import Lasting
from deflicker.correction.texture.laplacian import shrink
from deflicker.correction.texture.links import Link, View, walked
from deflicker.correction.texture.luma_chroma import LumaChroma, along, change_of_rgb
from deflicker.correction.texture.temporal_attention import MEMORY
from deflicker.correction.types import FrameRecord
from deflicker.motion.filters import is_surely_finite
from deflicker.motion.warp import warp


@dataclass(frozen=True)
class Sight:
    """How the pictures of a video are looked at."""

    size: tuple[int, int]
    """Height and width at which texture is looked at."""
    device: torch.device
    reach: int
    """Neighbours that texture is compared with on each side."""


class Picture:
    """A picture of a shot with the frames that show it, and what is known of it so far."""

    def __init__(self, *frames: FrameRecord) -> None:
        self.frames = list(frames)
        self.looked = self.renewed = False
        self.boil: Boil | None = None
        self.change: LumaChroma | None = None
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
        """`[1, 3, H, W]` in [0, 1], tone corrected; only where latents or keys are asked for."""
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

    def state_dict(self) -> dict[str, object]:
        """All that is known of it but what can be seen again."""
        return {name: value for name, value in vars(self).items() if name not in ("view", "colours", "link")}


class Pictures(list[Picture]):
    """The pictures of a shot between the first that is still needed and the last that has arrived."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self._sight, self.reach = sight, sight.reach
        self.forgotten = 0
        """Pictures of the shot before those."""
        self.spares = False
        """Whether everything is on the CPU, because there is no memory left for it elsewhere."""
        self.openings: list[Tensor] = []
        """How far each of the latest keys lets texture be locked, 0 … 1; see `keys`."""
        self._latest: tuple[Picture, Neighbours] | None = None

    def view(self, index: int) -> View:
        """What texture is compared by."""
        picture = self[index]
        if picture.view is None:
            picture.view = View.of(self._here(toned_colours(self._rgb(picture), picture.frames[0].correction)))
        return picture.view

    def colours(self, index: int) -> Tensor:
        """`[1, 3, H, W]` in [0, 1]."""
        picture = self[index]
        if picture.colours is None:
            picture.colours = self._here(toned_colours(self._rgb(picture), picture.frames[0].correction))[None]
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
        assert around.flow_px is not None
        return warp(torch.cat([self.colours(index + offset) for offset in around.offsets]), around.flow_px, "bicubic")

    def values(self, index: int) -> Values:
        """What the attention compares a picture with: those around it, and the one before as it was decided."""
        around = self.neighbours(index)
        assert around.flow_px is not None
        chroma = torch.cat([self.view(index + offset).chroma for offset in around.offsets])
        chroma = warp(chroma, shrink(around.flow_px) / 2, "bicubic")
        luma, visible, offsets = around.luma, around.visible, around.offsets
        if index > 0 and (change := self[index - 1].change) is not None:
            link, own = self.link(index), self.view(index)
            memory, seen = along(self.view(index - 1).planes + change, link.back_px), link.back_visible
            if not (is_surely_finite(memory.luma) and is_surely_finite(memory.chroma)):
                seen = seen * memory.luma.isfinite()
                sane_luma = torch.where(memory.luma.isfinite(), memory.luma, own.luma)
                memory = LumaChroma(sane_luma, torch.where(memory.chroma.isfinite(), memory.chroma, own.chroma))
            luma = torch.cat([luma, memory.luma])
            chroma = torch.cat([chroma, memory.chroma])
            visible, offsets = torch.cat([visible, seen]), (*offsets, MEMORY)
        return Values(LumaChroma(luma[None], chroma[None]), visible[None], around.flow_error_px, offsets)

    def _paths(self, index: int, sign: int) -> list[tuple[Tensor, Tensor]]:
        """Flow and visibility from a picture to each of its neighbours on one side, nearest first."""
        last = index + sign * self.reach
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
            each.boil, each.lasting = moved(each.boil, "cpu"), moved(each.lasting, "cpu")
            each.locked, each.renewal = moved(each.locked, "cpu"), moved(each.renewal, "cpu")
            each.change = moved(each.change, "cpu")
        self.openings = moved(self.openings, "cpu")

    def forget_sights(self, end: int) -> None:
        """Leave out what is large and can be seen again of the pictures before `end`."""
        self._latest = None
        for picture in self[: max(0, end)]:
            picture.forget_sight()

    def forget(self, count: int) -> None:
        """Let the first pictures go."""
        del self[:count]
        self.forgotten += count

    def state_dict(self) -> dict[str, object]:
        """All that is known of the pictures but what can be seen again."""
        rest = {"forgotten": self.forgotten, "spares": self.spares, "openings": self.openings}
        return {"pictures": [picture.state_dict() for picture in self], **rest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.forgotten, self.spares, self.openings = state["forgotten"], state["spares"], state["openings"]
        self[:] = [Picture() for _ in state["pictures"]]
        for picture, known in zip(self, state["pictures"], strict=True):
            vars(picture).update(known)

    def _rgb(self, picture: Picture) -> Tensor:
        shown = picture.frames[0].picture
        if shown is None:
            raise ValueError("texture is looked at in the frame itself: its record has none")
        return shown.rgb(self._sight.size, self._sight.device)

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.cpu() if self.spares else tensor

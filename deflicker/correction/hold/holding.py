"""One picture held to what was drawn before: where it may be, and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.hold.hold_bands import Bands, drawn, fine
from deflicker.correction.hold.hold_decision import Redrawing
from deflicker.correction.hold.likeness import around, likeness
from deflicker.correction.hold.texture_memory import TextureMemory
from deflicker.correction.texture.luma_chroma import luma_of_rgb
from deflicker.motion.filters import box_max, box_mean, ramp, upsample_blocks
from deflicker.motion.lucas_kanade import even_luma, refine
from deflicker.motion.warp import resize_flow, visibility

_FAINT = 0.05**2
"""Energy of texture, over light, that counts as none."""
_SLACK_PX = 1.0
"""Gap of flow there and back that still counts as visible."""
_ISLAND_PX = 6
"""Radius up to which held places are too small to be worth it."""
_BLOTCH_PX = 4
"""Radius of the means that are taken, twice, for a texture's blotches."""
_NEXT_TO, _BESIDE = 0.02, 0.5
"""Held part of what is around from which on it is looked at, and counts in full."""
_FEATHER_PX = 2
"""Radius over which held texture fades into new."""


@dataclass(frozen=True)
class HoldOptions:
    """Bounds between which held texture gives way."""

    strength: float = 1.0
    """How much of the texture is held, 0 … 1."""
    same: float = 0.35
    """Error of the guide then and now, as a part of its contrast, up to which it shows the same without doubt."""
    near: float = 0.6
    """The same, up to which it shows the same where flow agrees too."""
    noise: float = 0.006
    """Error, in contrast, that counts for nothing."""
    light: float = 0.12
    """How far the guide's light may differ."""
    energy: float = 5.0
    """How many times as strong as what is drawn now held texture may be, or as weak."""
    alike: float = -0.4
    """How much held texture must look like what is drawn now, once the finest of both is blurred."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture on its way through the hold."""

    bands: Bands
    guide: Tensor | None = None
    """`[1, 1, H, W]`: luma of the guide's picture, in [0, 1]."""

    def kept(self, texture: Tensor) -> Tensor:
        """What memory keeps of it, with its texture as it comes out."""
        return texture if self.guide is None else torch.cat([texture, self.guide], 1)


@dataclass(frozen=True, eq=False)
class Way:
    """Motion between two neighbours, at the size of their texture."""

    there_px: Tensor
    """`[1, 2, H, W]`, from the earlier to the later."""
    back_px: Tensor
    there_visible: Tensor
    """`[1, 1, H, W]` in {0, 1}."""
    back_visible: Tensor

    @classmethod
    def of(cls, forward_px: Tensor, backward_px: Tensor, size: tuple[int, int]) -> Way:
        """From flow on proxies, `[1, 2, h, w]`."""
        flows = [resize_flow(each, size) for each in (forward_px, backward_px)]
        seen = [
            F.interpolate(visibility(*each, tolerance_px=_SLACK_PX), size=size, mode="nearest")
            for each in ((forward_px, backward_px), (backward_px, forward_px))
        ]
        return cls(*flows, *seen)

    def reversed(self) -> Way:
        """The same motion the other way."""
        return Way(self.back_px, self.there_px, self.back_visible, self.there_visible)


@dataclass(frozen=True, eq=False)
class Step:
    """What becomes of one drawing."""

    detail: Tensor
    """`[3, H, W]`, to be added to its R'G'B'."""
    memory: TextureMemory
    """After it."""
    redrawing: Redrawing
    """How much of it was redrawn."""


def first(drawing: Drawing) -> TextureMemory:
    """The memory of a shot's first drawing."""
    return TextureMemory.of(drawing.kept(drawing.bands.rgb))


def held(memory: TextureMemory, drawing: Drawing, way: Way, options: HoldOptions) -> Step:
    """Hold the next drawing to what memory has of it. way: motion from the drawing before to this one."""
    memory = memory.moved(way.back_px)
    if drawing.guide is not None:
        now = even_luma(drawing.guide)
        memory = memory.moved(refine(now, even_luma(memory.read(slice(3, 4))), torch.zeros_like(way.back_px)))
    found, guides = memory.read(), None
    allowed = way.back_visible * (1 - memory.torn())
    if drawing.guide is not None:
        guides = even_luma(found[:, 3:4]), now
        allowed = still_there(guides, allowed, options) * as_lit(found[:, 3:4], drawing.guide, options)
    allowed = allowed * memory.trust
    old, new = drawing.bands.texture_of(found[:, :3], allowed), drawing.bands.texture
    coarse_old, coarse_new = (box_mean(box_mean(luma_of_rgb(each), 2), 2) for each in (old, new))
    allowed = allowed * as_strong(old, new, options.energy) * (likeness(coarse_old, coarse_new) > options.alike)
    allowed = 1 - box_max(1 - box_max(allowed, 1), 1)  # specks are not new things
    allowed = box_max(1 - box_max(1 - allowed, _ISLAND_PX), _ISLAND_PX)
    share = box_mean(1 - box_max(1 - allowed, _FEATHER_PX), _FEATHER_PX)
    alike = likeness(drawn(luma_of_rgb(old)), drawn(luma_of_rgb(new)))
    old = sharpened(old, new, share)
    texture = blended(old, joined(old, new, share * options.strength), share * options.strength, alike)
    change = drawing.bands.change(texture)
    redrawing = Redrawing.of((old, new), guides, allowed, change)
    kept = drawing.kept((drawing.bands.rgb + change).clamp(0, 1))
    return Step(change[0], memory.kept(kept, (share < 0.99).float()), redrawing)


def still_there(guides: tuple[Tensor, Tensor], flow_agrees: Tensor, options: HoldOptions) -> Tensor:
    """Where the guide shows what it showed then, `[1, 1, H, W]` in {0, 1}. guides: its even luma then and now."""
    then, now = guides
    error = (box_mean((now - then).abs(), 3) - options.noise).clamp_min(0)
    contrast = box_mean(torch.minimum(now.abs(), then.abs()), 3)
    certain = (error <= options.same * contrast) * (contrast > 2 * options.noise)
    likely = (error <= options.near * contrast) * flow_agrees
    return torch.maximum(certain.float(), likely)


def as_lit(then: Tensor, now: Tensor, options: HoldOptions) -> Tensor:
    """Where the guide is about as light as then, `[1, 1, H, W]` in {0, 1}. then, now: its luma."""
    return (box_mean(now - then, 4).abs() < options.light).float()


def as_strong(old: Tensor, new: Tensor, times: float) -> Tensor:
    """Where two textures are about as strong, `[1, 1, H, W]` in {0, 1}: neither is laid over a smooth face."""
    size = old.shape[-2:]
    one, other = (around(each.square().sum(1, keepdim=True)) + _FAINT for each in (old, new))
    return (upsample_blocks((one / other).log().abs(), 4, size) < math.log(times)).float()


def sharpened(old: Tensor, new: Tensor, share: Tensor) -> Tensor:
    """Held texture with its finest detail as strong, on the whole, as what is drawn now: sampling took some of it."""
    mine, other = fine(old), fine(new)
    gain = ((other.square() * share).sum() / (mine.square() * share).sum().clamp_min(1e-6)).sqrt()
    return old + (gain.clamp(1, 1.8) - 1) * mine


def joined(old: Tensor, new: Tensor, share: Tensor) -> Tensor:
    """What is drawn now, its blotches like those of the held texture beside it, the less so the further from there:
    what enters shows no edge."""
    inner = box_mean(box_mean(share, _BLOTCH_PX), _BLOTCH_PX)
    apart = box_mean(box_mean((old - new) * share, _BLOTCH_PX), _BLOTCH_PX)
    return new + apart / inner.clamp_min(_NEXT_TO) * ramp(inner, (0.0, _BESIDE))


def blended(old: Tensor, new: Tensor, share: Tensor, alike: Tensor) -> Tensor:
    """`share` of one texture and the rest of another, as strong as they are: a mean of two drawings is no blur of
    both."""
    rest = 1 - share
    energy = share.square() + rest.square() + 2 * share * rest * alike.clamp(0, 1)
    return (share * old + rest * new) / energy.sqrt()

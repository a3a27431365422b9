"""Pictures as luma and differences of colour at half the size, as 4:2:0 video stores them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.texture.laplacian import enlarge, shrink
from deflicker.media.color import BT709
from deflicker.motion.warp import warp

_KR, _KG, _KB = BT709


def to_luma_chroma(rgb: Tensor) -> LumaChroma:
    """R'G'B' `[..., 3, H, W]` as planes. Differences of colour are (B' − Y') / 2 (1 − K_B) and its like, in [-½, ½]."""
    luma = luma_of_rgb(rgb)
    small = shrink(rgb)
    light = luma_of_rgb(small)
    blue = (small[..., 2:, :, :] - light) / (2 * (1 - _KB))
    red = (small[..., :1, :, :] - light) / (2 * (1 - _KR))
    return LumaChroma(luma, torch.cat([blue, red], -3))


def luma_of_rgb(rgb: Tensor) -> Tensor:
    """Luma `[..., 1, H, W]`."""
    return _KR * rgb[..., :1, :, :] + _KG * rgb[..., 1:2, :, :] + _KB * rgb[..., 2:, :, :]


def change_of_rgb(change: LumaChroma) -> Tensor:
    """A change of planes as one of R'G'B', `[..., 3, H, W]`."""
    size = change.luma.shape[-2:]
    blue, red = enlarge(change.chroma)[..., : size[0], : size[1]].chunk(2, -3)
    blue, red = 2 * (1 - _KB) * blue, 2 * (1 - _KR) * red
    green = -(_KR * red + _KB * blue) / _KG
    return torch.cat([change.luma + red, change.luma + green, change.luma + blue], -3)


@stored
@dataclass(frozen=True, eq=False)
class LumaChroma:
    """Pictures as luma and, at half the size, differences of colour (`to_luma_chroma`), or changes of them."""

    luma: Tensor
    """`[..., 1, H, W]`."""
    chroma: Tensor
    """`[..., 2, ⌈H / 2⌉, ⌈W / 2⌉]`."""

    def __add__(self, change: LumaChroma) -> LumaChroma:
        return LumaChroma(self.luma + change.luma, self.chroma + change.chroma)


def along(planes: LumaChroma, flow_px: Tensor, mode: str = "bicubic") -> LumaChroma:
    """W(planes) along flow `[B, 2, H, W]` in pixels of the luma."""
    return LumaChroma(warp(planes.luma, flow_px, mode), warp(planes.chroma, shrink(flow_px) / 2, mode))

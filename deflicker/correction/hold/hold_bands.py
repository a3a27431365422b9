"""A picture as its look in the large, which is never held, and its texture, which may be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.texture.luma_chroma import luma_of_rgb
from deflicker.motion.filters import block_mean, box_mean, upsample_blocks

_BLOCK_PX = 4
"""Side of the blocks on which the picture in the large is computed."""
_PART_OF_SIDE = 0.03
"""Radius of the means that are the picture in the large, as a part of its longer side."""
_DARK = 0.1
"""Added to light before texture is divided by it: texture in the dark is not blown up."""
_SEEN = 0.02
"""Part of the places around that must be seen to tell how two pictures differ in the large."""
_FINE_PX = 1
"""Radius of the means that take off what grain and codecs change."""


@dataclass(frozen=True, eq=False)
class Bands:
    """A picture in two parts."""

    rgb: Tensor
    """`[1, 3, H, W]` R'G'B', the picture itself."""
    large: Tensor
    """`[1, 3, H, W]`: how it looks in the large."""
    light: Tensor
    """`[1, 1, H, W]`: the luma of that, and a little more."""
    texture: Tensor
    """`[1, 3, H, W]`: what is left, over `light`."""

    @classmethod
    def of(cls, rgb: Tensor) -> Bands:
        """Of R'G'B' `[1, 3, H, W]` in [0, 1]."""
        large = in_the_large(rgb)
        light = luma_of_rgb(large).clamp_min(0) + _DARK
        return cls(rgb, large, light, (rgb - large) / light)

    def texture_of(self, other: Tensor, same: Tensor) -> Tensor:
        """Another picture's texture in place of this one's, as this one looks in the large, `[1, 3, H, W]`.

        other: R'G'B' `[1, 3, H, W]`. Only the places where both show the same, `same [1, 1, H, W]`, tell how they
        differ in the large: what has moved away leaves no halo.
        """
        apart = in_the_large(torch.cat([(self.rgb - other) * same, same], 1))
        return (other + apart[:, :3] / apart[:, 3:].clamp_min(_SEEN) - self.large) / self.light

    def change(self, texture: Tensor) -> Tensor:
        """What makes this picture's texture another: to be added to its R'G'B', `[1, 3, H, W]`."""
        return (texture - self.texture) * self.light


def in_the_large(image: Tensor) -> Tensor:
    """`[1, C, H, W]`, blurred so far that no texture is left."""
    height, width = image.shape[-2:]
    radius = max(2, round(_PART_OF_SIDE * max(height, width) / _BLOCK_PX))
    blocks = block_mean(image, _BLOCK_PX)
    smooth = box_mean(box_mean(blocks, radius), (radius + 1) // 2)
    return upsample_blocks(smooth, _BLOCK_PX, (height, width))


def drawn(luma: Tensor) -> Tensor:
    """Texture's luma `[1, 1, H, W]` without grain."""
    return box_mean(luma, _FINE_PX)


def fine(texture: Tensor) -> Tensor:
    """The finest of texture `[1, C, H, W]`."""
    return texture - box_mean(texture, _FINE_PX)

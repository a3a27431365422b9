"""A frame beside what it is compared with: aligned differences in planes and bands, which everything is told from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import enlarge, merge_bands, shrink, split_bands
from deflicker.correction.texture.luma_chroma import LumaChroma
from deflicker.motion.filters import box_mean

UNIT_PX = 1 << LEVELS
"""Sides are continued to multiples of it."""


@dataclass(frozen=True, eq=False)
class Values:
    """What frames are compared with, B at once."""

    pictures: LumaChroma
    """`[B, N, ...]`, brought to the frame."""
    visible: Tensor
    """`[B, N, 1, H, W]` in [0, 1]."""
    flow_error_px: Tensor
    """`[B, 1, H, W]`: how wrong the motion may be here."""
    offsets: tuple[int, ...]
    """Of each of the N in time; 0 is the picture decided before."""


@dataclass(frozen=True, eq=False)
class Bands:
    """Laplacian bands of planes, finest first, the rest last: LEVELS + 1 of luma, LEVELS of colour."""

    luma: list[Tensor]
    chroma: list[Tensor]

    @classmethod
    def of(cls, planes: LumaChroma) -> Bands:
        """The bands of `[N, ...]`, whose sides are multiples of UNIT_PX."""
        return cls(split_bands(planes.luma, LEVELS), split_bands(planes.chroma, LEVELS - 1))

    def merged(self, like: LumaChroma) -> LumaChroma:
        """The planes they are the bands of, cut to the size of others."""
        size, half = like.luma.shape[-2:], like.chroma.shape[-2:]
        luma, chroma = merge_bands(self.luma), merge_bands(self.chroma)
        return LumaChroma(luma[..., : size[0], : size[1]], chroma[..., : half[0], : half[1]])


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is seen of B frames and their N neighbours. Sides are continued to multiples of UNIT_PX."""

    own_luma: Tensor
    """`[B, 1, H, W]`: y."""
    own_bands: list[Tensor]
    """Bands of it."""
    differences: LumaChroma
    """`[B N, ...]`: X_k − y."""
    bands: Bands
    """Of these."""
    visible: Tensor
    """`[B N, 1, H / 4, W / 4]` in [0, 1]."""
    flow_error_px: Tensor
    """`[B, 1, H / 4, W / 4]`."""
    offsets: tuple[int, ...]
    """Of the N neighbours in time."""

    @classmethod
    def of(cls, frames: LumaChroma, values: Values) -> Comparison:
        """Compare frames `[B, ...]`."""
        luma = (values.pictures.luma - frames.luma[:, None]).flatten(0, 1)
        chroma = (values.pictures.chroma - frames.chroma[:, None]).flatten(0, 1)
        differences = LumaChroma(_padded(luma, UNIT_PX), _padded(chroma, UNIT_PX // 2))
        own = _padded(frames.luma, UNIT_PX)
        return cls(
            own_luma=own,
            own_bands=split_bands(own, LEVELS),
            differences=differences,
            bands=Bands.of(differences),
            visible=quarter(_padded(values.visible.flatten(0, 1), UNIT_PX)),
            flow_error_px=quarter(_padded(values.flow_error_px, UNIT_PX)),
            offsets=values.offsets,
        )

    @property
    def count(self) -> tuple[int, int]:
        """B and N."""
        return len(self.own_luma), len(self.offsets)

    def row(self, offset: int) -> int | None:
        """Number of the neighbour at an offset in time."""
        return self.offsets.index(offset) if offset in self.offsets else None


def redrawn_energy(seen: Comparison) -> list[Tensor]:
    """P = E[D₋ D₊] of a frame's luma (B is 1): what is redrawn in it, one mean a region (`regions`) of each band.

    At the edge of a shot of two neighbours on one side, or half the square of the only one.
    """
    pairs = ((-1, 1), (1, 2), (-1, -2), (1, 1), (-1, -1))
    first, second = next((pair for pair in pairs if pair[0] in seen.offsets and pair[1] in seen.offsets), (0, 0))
    here, there = seen.offsets.index(first), seen.offsets.index(second)
    mask = seen.visible[here] * seen.visible[there] * (0.5 if first == second else 1.0)
    mass = seen.visible[here] * seen.visible[there]
    found = []
    for level, band in enumerate(seen.bands.luma[:-1]):
        product = quartered(band[here] * band[there], level, least=True)
        if level == LEVELS - 1:
            mask, mass = shrink(mask), shrink(mass)
        found.append(regions(product * mask, max(2, level))[None] / regions(mass, max(2, level))[None].clamp_min(1e-3))
    return found


def regions(values: Tensor, level: int) -> Tensor:
    """Means over regions of 48 px, one every 16, of values `[C, h, w]` at the size of a band."""
    for _ in range(LEVELS - level):
        values = shrink(values)
    return box_mean(values, 1)


def quarter(image: Tensor) -> Tensor:
    """At a quarter of the size."""
    return shrink(shrink(image))


def quartered(image: Tensor, level: int, *, least: bool = False) -> Tensor:
    """Something of a band's size at a quarter of the picture's; least: at that of the band where it is smaller."""
    for _ in range(2 - level):
        image = shrink(image)
    for _ in range(0 if least else level - 2):
        image = enlarge(image)
    return image


def _padded(image: Tensor, unit: int) -> Tensor:
    """The picture, its edge continued to sides that are multiples of `unit`."""
    below, right = -image.shape[-2] % unit, -image.shape[-1] % unit
    if below:
        image = torch.cat([image, image[..., -1:, :].expand(*image.shape[:-2], below, -1)], -2)
    if right:
        image = torch.cat([image, image[..., -1:].expand(*image.shape[:-1], right)], -1)
    return image

"""One contract around an autoencoder: any size in, padded and tiled inside, the same size out; changes as residuals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

FACTOR = 8
"""How much smaller latents are than frames, in each direction."""
_TILE_PX = 768
"""Longest side of what goes through a network at once. Smaller frames are not cut."""
_HALO_PX = 96
"""What a tile sees beyond its own part: more than the own network looks around it."""


class Autoencoder(Protocol):
    """A network 8× down. Frames `[N, 3, H, W]` in [0, 1], sides divisible by 8; latents `[N, C, H/8, W/8]`."""

    def encode(self, frames: Tensor) -> Tensor:
        """E."""

    def decode(self, latents: Tensor) -> Tensor:
        """D."""


@dataclass(frozen=True, eq=False)
class Codec:
    """An autoencoder, ready to use."""

    name: str
    """For people."""
    network: Autoencoder
    channels: int
    groups: tuple[slice, ...] = (slice(None),)
    """Channels that boil alike; each group has its own measure of it."""

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Latents `[N, C, ⌈H/8⌉, ⌈W/8⌉]` of `frames [N, 3, H, W]` in [0, 1]. The edge is continued to full cells."""
        height, width = frames.shape[-2:]
        full = F.pad(frames, (0, -width % FACTOR, 0, -height % FACTOR), mode="replicate")
        return _tiled(full, self.network.encode, FACTOR, 1, FACTOR)

    @torch.no_grad()
    def decode(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Frames `[N, 3, *size]` of latents that came from frames of this size."""
        return _tiled(latents, self.network.decode, 1, FACTOR, 1)[..., : size[0], : size[1]]

    def change(self, latents: Tensor, wanted: Tensor, size: tuple[int, int]) -> Tensor:
        """D(z*) − D(z), what is to be added to the frame z came from: `[N, 3, *size]`.

        What D cannot draw is in both and cancels, so that the frame keeps it. Where z* = z the two are the same numbers
        and their difference is 0 exactly; no decoding is needed to know that.
        """
        if torch.equal(latents, wanted):
            return latents.new_zeros(len(latents), 3, *size)
        return self.decode(wanted, size) - self.decode(latents, size)


def _tiled(image: Tensor, apply: Callable[[Tensor], Tensor], shrink: int, grow: int, unit: int) -> Tensor:
    """`apply`, tile by tile where the image is large; a tile's surroundings go in with it and are cut off again.

    shrink, grow: how sides change; unit: what tiles begin at multiples of, in the image's pixels.
    """
    pixels = FACTOR // unit  # of the frame, for each of the image's
    tile, halo = _TILE_PX // pixels, _HALO_PX // pixels
    height, width = image.shape[-2:]
    if max(height, width) <= tile:
        return apply(image)
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            first_y, first_x = max(0, top - halo), max(0, left - halo)
            last_y, last_x = min(height, top + tile + halo), min(width, left + tile + halo)
            found = apply(image[..., first_y:last_y, first_x:last_x])
            y, x = (top - first_y) * grow // shrink, (left - first_x) * grow // shrink
            tall, wide = (min(side, start + tile) - start for side, start in ((height, top), (width, left)))
            row.append(found[..., y : y + tall * grow // shrink, x : x + wide * grow // shrink])
        rows.append(torch.cat(row, -1))
    return torch.cat(rows, -2)

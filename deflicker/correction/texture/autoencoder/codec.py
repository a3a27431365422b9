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
TILE_PX = 768
"""Side of a tile. Frames that are no larger are not cut."""
HALO_PX = 96
"""What a tile sees beyond its own part."""
_FADE_PX = 24
"""How far on either side of their border two tiles fade over into each other. What is left of the halo, 72 px, is more
than the own network looks around; networks that look further, or at everything at once, leave no edge."""


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
    tile_px: int = TILE_PX
    """Side of its tiles, a multiple of 8."""

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Latents `[N, C, ⌈H/8⌉, ⌈W/8⌉]` of `frames [N, 3, H, W]` in [0, 1]. The edge is continued to full cells."""
        height, width = frames.shape[-2:]
        full = F.pad(frames, (0, -width % FACTOR, 0, -height % FACTOR), mode="replicate")
        return _tiled(full, self.network.encode, self.tile_px, 1, FACTOR)

    @torch.no_grad()
    def decode(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Frames `[N, 3, *size]` of latents that came from frames of this size."""
        return _tiled(latents, self.network.decode, self.tile_px, FACTOR, 1)[..., : size[0], : size[1]]

    def change(self, latents: Tensor, wanted: Tensor, size: tuple[int, int]) -> Tensor:
        """D(z*) − D(z), what is to be added to the frame z came from: `[N, 3, *size]`.

        What D cannot draw is in both and cancels, so that the frame keeps it. Where z* = z the two are the same numbers
        and their difference is 0 exactly; no decoding is needed to know that.
        """
        if torch.equal(latents, wanted):
            return latents.new_zeros(len(latents), 3, *size)
        return self.decode(wanted, size) - self.decode(latents, size)


def _tiled(image: Tensor, apply: Callable[[Tensor], Tensor], tile_px: int, goes_in: int, comes_out: int) -> Tensor:
    """`apply`, tile by tile where the image is large; a tile's surroundings go in with it.

    goes_in, comes_out: pixels of the frame, in each direction, that one of the image and one of the result stand for.
    """
    height, width = (side * goes_in for side in image.shape[-2:])
    if max(height, width) <= tile_px:
        return apply(image)
    found: Tensor | None = None
    for top in range(0, height, tile_px):
        for left in range(0, width, tile_px):
            rows = _Span(top, min(top + tile_px, height), height)
            columns = _Span(left, min(left + tile_px, width), width)
            part = apply(image[..., rows.seen(goes_in), columns.seen(goes_in)])
            if found is None:
                found = part.new_zeros(*part.shape[:-2], height // comes_out, width // comes_out)
            weights = rows.weights(comes_out, part)[:, None] * columns.weights(comes_out, part)
            found[..., rows.seen(comes_out), columns.seen(comes_out)] += weights * part
    assert found is not None
    return found


@dataclass(frozen=True)
class _Span:
    """A tile along one axis, in pixels of the frame."""

    start: int
    end: int
    whole: int

    def seen(self, unit: int) -> slice:
        """The tile with its surroundings, in units of so many pixels."""
        return slice(max(0, self.start - HALO_PX) // unit, min(self.whole, self.end + HALO_PX) // unit)

    def weights(self, unit: int, like: Tensor) -> Tensor:
        """How much the tile counts where it sees, `[length]`: those of all tiles sum to 1 everywhere."""
        seen = self.seen(unit)
        at_px = (torch.arange(seen.start, seen.stop, dtype=like.dtype, device=like.device) + 0.5) * unit
        weights = torch.ones_like(at_px)
        if self.start > 0:
            weights = weights * ((at_px - self.start) / (2 * _FADE_PX) + 0.5).clamp(0, 1)
        if self.end < self.whole:
            weights = weights * ((self.end - at_px) / (2 * _FADE_PX) + 0.5).clamp(0, 1)
        return weights

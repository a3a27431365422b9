"""What was drawn before, and where each pixel finds it: a few kept pictures, and a map of pointers into them.

A pixel points into the picture in which its texture was first seen, so that however long it is held it is sampled once.
The pointers are carried along motion; they are smooth, so that costs nothing. A pixel with nothing to hold points at
itself. Where a picture more is kept than there is room for, the one with the fewest pointers is given up: its pixels
point to the newest picture, in which they were drawn too. Each pixel's texture is so sampled anew about as often as the
logarithm of the pictures it is held for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.motion.filters import box_mean
from deflicker.motion.warp import inside, sample, target_grid

ROOM = 6
"""Pictures that are kept."""


@stored
@dataclass(frozen=True, eq=False)
class TextureMemory:
    """Kept pictures, and what each pixel of the present one points at."""

    pictures: tuple[Tensor, ...]
    """`[1, C, H, W]` each."""
    which: Tensor
    """`[1, 1, H, W]`: number among the pictures."""
    offset_px: Tensor
    """`[1, 2, H, W]`: the pixel x points at x + offset."""
    trust: Tensor
    """`[1, 1, H, W]` in {0, 1}: the pointer has not left the picture."""

    @classmethod
    def of(cls, picture: Tensor) -> TextureMemory:
        """Of the first picture, `[1, C, H, W]`."""
        zero = torch.zeros_like(picture[:, :1])
        return cls((picture,), zero, zero.repeat(1, 2, 1, 1), zero + 1)

    def moved(self, step_px: Tensor) -> TextureMemory:
        """The memory as the next picture sees it. step_px: `[1, 2, H, W]`, from there to here."""
        grid = target_grid(step_px)
        rough = sample(torch.cat([self.which, self.offset_px, _edges(self.which)], 1), grid, "nearest")
        which, nearest_px, mixed = rough[:, :1], rough[:, 1:3], rough[:, 3:]
        smooth_px = sample(self.offset_px, grid)
        offset_px = torch.where(mixed > 0, nearest_px, smooth_px) + step_px
        return replace(self, which=which, offset_px=offset_px, trust=inside(step_px) * inside(offset_px))

    def read(self, channels: slice = slice(None)) -> Tensor:
        """What the pixels point at, `[1, C, H, W]`, each sampled once from a kept picture (bicubic)."""
        grid = target_grid(self.offset_px).clamp_(-1, 1)
        found = torch.zeros_like(self.pictures[0][:, channels])
        flat, which = found.flatten(2), self.which.flatten()
        for number, picture in enumerate(self.pictures):
            at = (which == number).nonzero()[:, 0]
            if len(at):
                places = grid.flatten(1, 2)[:, None, at]
                flat[:, :, at] = F.grid_sample(picture[:, channels], places, mode="bicubic", align_corners=True)[
                    :, :, 0
                ]
        seams = _edges(self.which)
        return found + seams * (box_mean(found, 1) - found)

    def torn(self) -> Tensor:
        """Where the pointers of neighbours part or crowd together, so that texture would be pulled out of shape."""
        across = F.pad(self.offset_px.diff(dim=-1), (0, 1)).abs().amax(1, keepdim=True)
        down = F.pad(self.offset_px.diff(dim=-2), (0, 0, 0, 1)).abs().amax(1, keepdim=True)
        return (torch.maximum(across, down) > 0.5).float() * (1 - _edges(self.which))

    def kept(self, picture: Tensor, new: Tensor) -> TextureMemory:
        """With the present picture kept, too, at which the pixels point where `new [1, 1, H, W]` is 1."""
        newest = len(self.pictures)
        which = torch.where(new > 0, float(newest), self.which)
        offset_px = torch.where(new > 0, 0.0, self.offset_px)
        pictures = (*self.pictures, picture)
        counts = torch.bincount(which.flatten().long(), minlength=newest + 1)
        if len(pictures) > ROOM and (counts[:newest] > 0).all():
            given_up = which == int(counts[:newest].argmin())
            which, offset_px = torch.where(given_up, float(newest), which), torch.where(given_up, 0.0, offset_px)
            counts = torch.bincount(which.flatten().long(), minlength=newest + 1)
        used = [number for number in range(newest + 1) if counts[number] > 0]
        numbers = torch.zeros(newest + 1, device=which.device)
        numbers[used] = torch.arange(len(used), device=which.device, dtype=numbers.dtype)
        return replace(
            self,
            pictures=tuple(pictures[number] for number in used),
            which=numbers[which.long()],
            offset_px=offset_px,
            trust=torch.ones_like(self.trust),
        )


def _edges(which: Tensor) -> Tensor:
    """1 where a pixel beside points into another picture."""
    largest, smallest = F.max_pool2d(which, 3, 1, 1), -F.max_pool2d(-which, 3, 1, 1)
    return (largest != smallest).to(which)

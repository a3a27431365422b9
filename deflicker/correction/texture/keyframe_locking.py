"""Texture that boils with a memory: locked to key pictures along motion, not averaged.

A generator that redraws its texture from what it drew before leaves differences that neighbours share. Averaging them
(`texture`) takes little of it away and blurs the rest. Seen from pictures three and four away on both sides, though,
such texture boils as any other: D₋D₊, the product of the aligned differences across a picture, is what it has and they
have not, and E[D₋D₊] / E[D²] is how much of all change is boil. Where much of it is, and motion is certain enough to
tell, every picture between two keys takes its bands from them:

    z_b = g_b (y_b + L Σ_k w_k ((W_k x_k)_b − y_b))

x_k the key before and the key after, W_k their way along motion, w_k a raised cosine in time times visibility, Σ w = 1,
in colour, as a stripe drawn elsewhere has its colour with it. L, 0 … 1, is where texture boils this way, as the keys
see it; keys stay as they are. g_b ≥ 1 gives the band the energy that it has in the keys themselves, cells at large:
crossing from one drawing to another is no blur (Σ w² < Σ w), and neither is sampling between pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.texture.band_energy import energy, lacking
from deflicker.correction.texture.boil_estimate import Neighbours
from deflicker.correction.texture.differences import LEVELS, doubt_of, products, usual_part, visible_of
from deflicker.correction.texture.laplacian import cell_means, merge_bands, shrink, split_bands
from deflicker.motion.filters import block_mean, box_max, box_mean, ramp, sum_of, upsample_blocks
from deflicker.motion.warp import warp

KEYS_APART = 8
"""Pictures from key to key."""
FAR = (3, 4)
"""Distances in time, on both sides, at which what lasts a while still shows as boil."""
_LOCKED = 6
"""Bands that are taken from keys, from details of 2 px to patches of 64 px: where texture boils with a memory, so does
the tone of what it is drawn on."""
_CELL_PX = 32
"""Side of the cells on which a key's boil is told."""
_FLOOR = (1.0 / 255) ** 2
"""Change that is no evidence: rounding reaches as far."""
_SHARE = (0.15, 0.22)
"""Part of change that is boil, the median of the picture's cells, from which locking begins and is full. Where coverage
suffices it is below 0.1 on the clean clips this was chosen on, and below 0.2 on one of dithered colours, whose boil is
not worth it."""
_ALONE = (0.52, 0.58)
"""The same, from which it ends and is off: what boils has 0.5 at most, as the pictures around boil too. One that has
more differs from others that are alike, and would bring to them what they do not show."""
_HERE = (0.05, 0.15)
"""The same of each cell, where the picture's median is high enough."""
_SEEN = (0.05, 0.15)
"""Part of a cell that is seen with certain motion from pictures this far on both sides, likewise."""
_LEAST_KNOWN = 0.05
"""What must be known of a place by its keys together for their word to count in full."""
_WORTH = (1.0 / 255, 1.5 / 255)
"""Root mean square of the boil, likewise."""
_COVERAGE = (0.2, 0.3)
"""Part of the picture that is seen, with certain motion, from pictures this far on both sides, likewise: fast dancers,
of whom a quarter of all change passes for boil, have 0.1 to 0.2."""
USUAL = 4
"""Keys of which the usual one counts, the lower one of two: neither a sudden turn nor an odd match decides."""
_AVERAGED = (0.14, 0.19)
"""Part of change that averaging can take away, from which locking gives way to it and is off: where boil was drawn anew
for each frame and can be followed, it is 0.19 to 0.48."""
_LIMIT = 6.0
"""Difference of patches from both keys, over the usual change here, from which this is another thing; at twice that
nothing is taken."""
_LOUDEST = 1.5
"""Most that a band is raised, in amplitude."""


@stored
@dataclass(frozen=True, eq=False)
class Lasting:
    """What one key picture shows of boil that lasts a while."""

    strength: Tensor
    """`[1, 1, h, w]` in [0, 1], on cells of 32 px: where texture is to be locked, as far as that is known."""
    known: Tensor
    """How far it is, likewise; `strength` is no larger."""
    change: tuple[Tensor, ...]
    """E[D²] of each band on the same cells: how far it usually changes."""
    share: Tensor
    """Median over the cells that are seen of the part of change that is boil. A scalar, as the next two."""
    boil: Tensor
    """Σ over bands of E[D₋D₊], at least 0."""
    coverage: Tensor
    """0 … 1: how much of the picture is seen with certain motion."""

    def opening(self) -> Tensor:
        """How far this key lets texture be locked at all, 0 … 1."""
        worth = ramp(self.boil.sqrt(), _WORTH)
        lasts = ramp(self.share, _SHARE) * (1 - ramp(self.share, _ALONE))
        return lasts * worth * ramp(self.coverage, _COVERAGE)


@dataclass(frozen=True, eq=False)
class Source:
    """A key as it is seen from a picture between two of them."""

    colours: Tensor
    """`[1, 3, H, W]` R'G'B' in [0, 1], the key's own."""
    flow_px: Tensor
    """`[1, 2, H, W]`: from the picture to the key."""
    visible: Tensor
    """`[1, 1, H, W]` in [0, 1]."""
    nearness: float
    """0 … 1: its weight in time; those of a picture's keys add up to 1."""
    lasting: Lasting


def lasting(luma: Tensor, neighbours: Neighbours) -> Lasting | None:
    """What a key picture `[1, 1, H, W]` shows; None where it has no neighbours far enough away on both sides.

    The finest band tells nothing: motion by parts of a pixel blurs it, which looks like boil.
    """
    at = {offset: row for row, offset in enumerate(neighbours.offsets)}
    ahead = [at[distance] for distance in FAR if distance in at]
    behind = [at[-distance] for distance in FAR if -distance in at]
    if not ahead or not behind:
        return None
    differences = (neighbours.luma - luma) * neighbours.visible
    bands, visible = split_bands(differences, LEVELS)[:-1], visible_of(neighbours.visible)
    doubt = doubt_of(cell_means(neighbours.flow_error_px, 4))
    boil, changes, seen = [], [], []
    for level, (band, mask) in enumerate(zip(bands, visible, strict=False)):
        band = usual_part(band)
        certain = 1 - upsample_blocks(doubt, 4, band.shape[-2:])
        pairs = [(i, j) for i in behind for j in ahead]
        every = [(i, i) for i in (*behind, *ahead)]
        sums = torch.stack([*products(band, mask, pairs), *products(band, mask, every)])
        product, product_mass, square, square_mass = block_mean(sums * certain, _CELL_PX >> level).unsqueeze(1)
        changes.append(square / square_mass.clamp_min(1e-3))
        if level > 0:
            boil.append(product / product_mass.clamp_min(1e-3))
            seen.append(product_mass / len(pairs))
        doubt = shrink(doubt)
    lasts, seen_share = sum_of(boil), sum_of(seen) / len(seen)
    share = lasts / (sum_of(changes[1:]) + _FLOOR)
    known = ramp(seen_share, _SEEN)
    strength = ramp(share, _HERE) * ramp(lasts.clamp_min(0).sqrt(), _WORTH) * known
    total = (lasts * seen_share).sum() / seen_share.sum().clamp_min(1e-6)
    median = torch.where(seen_share > seen_share.amax() / 2, share, torch.nan).nanmedian().nan_to_num()
    return Lasting(strength, known, tuple(changes), median, total.clamp_min(0), seen_share.mean())


def how_far_locked(openings: Sequence[Tensor], usual_boil: Tensor | None) -> Tensor:
    """How far the pictures between two keys are locked, 0 … 1: as far as the usual one of the latest keys lets them.

    openings: of these keys, the latest last; usual_boil: as `opening.usual_boil` gives it for these pictures.
    """
    averaged = 0.0 if usual_boil is None else ramp(usual_boil[0], _AVERAGED)
    return torch.stack(list(openings)).median() * (1 - averaged)


def nearness(distance: int, span: int) -> float:
    """Weight of a key `distance` pictures away, of two that are `span` apart: a raised cosine."""
    return math.cos(distance / span * math.pi / 2) ** 2


def locked(colours: Tensor, sources: Sequence[Source], how_far: float = 1.0) -> Tensor:
    """What is added to a picture, R'G'B' `[1, 3, H, W]`, so that its texture is that of its keys, where they say so.

    how_far: 0 … 1, of all that they say.
    """
    size = colours.shape[-2:]
    own, others = split_bands(colours, _LOCKED), []
    apart = torch.full_like(colours[:, :1], torch.inf)
    told = torch.zeros_like(colours[:1, :2])
    for source in sources:
        brought = warp(source.colours, source.flow_px, "bicubic")
        others.append(split_bands(brought, _LOCKED))
        apart = torch.minimum(apart, _apart(brought - colours, source))
        maps = torch.cat([source.lasting.strength, source.lasting.known], 1)
        told = told + source.nearness * warp(upsample_blocks(maps, _CELL_PX, size), source.flow_px)
    another = torch.where(apart.isfinite(), (apart / _LIMIT - 1).clamp(0, 1), 0.0)
    strength = how_far * told[:, :1] / told[:, 1:].clamp_min(_LEAST_KNOWN) * (1 - box_mean(box_max(another, 2), 2))
    drawn = [_energies(source) for source in sources]
    seen, taken, shares, wanted = [source.visible for source in sources], [], [], []
    for level, band in enumerate(own[:-1]):
        # At the rim of what is seen a band is made of what is not, as far as its details are large.
        sure = [box_mean(1 - box_max(1 - mask, 1), 1) for mask in seen]
        weights = [mask * source.nearness for mask, source in zip(sure, sources, strict=True)]
        change, drawn_energy = (
            sum_of([weight * part for weight, part in zip(weights, parts, strict=True)])
            for parts in ([bands[level] - band for bands in others], [each[level] for each in drawn])
        )
        mass = sum_of(weights).clamp_min(1e-3)
        shares.append(strength * (1 - torch.stack([1 - mask for mask in sure]).prod(0)))
        taken.append(band + shares[level] * change / mass)
        wanted.append(drawn_energy / mass)
        strength, seen = shrink(strength), [shrink(mask) for mask in seen]
    found, shares = merge_bands([*taken, own[-1]]), [(4 * share).clamp(max=1) for share in shares]
    for _ in range(2):  # as what is raised beyond black or white is lost
        found = found + lacking(found, wanted, shares, _LOUDEST)
    return found - colours


def _energies(source: Source) -> list[Tensor]:
    """The energy of each of a key's bands, cells at large, brought to the picture: `[1, 1, H_b, W_b]` each."""
    energies, flow_px = [], source.flow_px
    for band in split_bands(source.colours, _LOCKED)[:-1]:
        energies.append(warp(energy(band), flow_px))
        flow_px = shrink(flow_px) / 2
    return energies


def _apart(difference: Tensor, source: Source) -> Tensor:
    """How far patches differ from a key, over how far they usually change, `[1, 1, H, W]`; ∞ where it is hidden.

    What is far from every key it is seen in is another thing: an eye that shuts between two keys is in neither.
    """
    size = difference.shape[-2:]
    usual = upsample_blocks(sum_of(source.lasting.change), _CELL_PX, size) + _FLOOR
    near = upsample_blocks(box_mean(block_mean(difference.mean(1, keepdim=True).square(), 4), 1), 4, size)
    return torch.where(source.visible > 0.5, near / usual, torch.inf)

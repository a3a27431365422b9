"""Texture that boils, in the latents of an autoencoder: the window's energy minimised there, the change decoded.

The frame and its aligned neighbours are encoded, z_k = E(W_k y_{t+k}); `latent_chain` gives z* in the frame's place,
and what is added to the frame is D(z*) − D(z_0). Neighbours are warped before they are encoded: a latent stands for
8 × 8 pixels, so warping latents would move texture by whole cells and blur it (measured in docs/results/latent.md).

How much of a latent's change is boil is found as it is for pixels (`attention`): P across the frame, less what
S + P exceeds E by where motion is uncertain. Where the pixels' own bands show no boil at all, z* is z.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.texture.autoencoder.codec import FACTOR, Codec
from deflicker.correction.texture.boil_estimate import Boil, Neighbours
from deflicker.correction.texture.differences import doubt_of
from deflicker.correction.texture.latent_chain import middle_weights
from deflicker.correction.texture.reference_hold import Anchor
from deflicker.motion.filters import box_mean


@dataclass(frozen=True)
class LatentOptions:
    """Constants of the latent stage."""

    curvature: float = 0.2
    """α: how much second differences count beside first ones."""
    stiffness: float = 30.0
    """λ where neighbours differ by boil alone."""
    anchor_stiffness: float = 4.0
    """a of an anchor, which is a mean of about so many frames."""
    tolerance: float = 0.5
    """Excess over 2 σ² of a difference that chance explains, in units of 2 σ²."""
    misfit_share: float = 0.3
    """Part of the rest that is taken for change of the scene, or for a wrong match."""
    suspicion: float = 2.0
    """How often S + P − E is counted off where motion is uncertain."""
    least: float = (0.5 / 255) ** 2
    """Variance of the pixels' boil at which the gate of a cell is half open."""


class LatentTexture:
    """What takes boil out of a frame by way of latents."""

    def __init__(self, codec: Codec, options: LatentOptions = LatentOptions()) -> None:
        self._codec, self._options = codec, options

    def residual(
        self, frame: Tensor, aligned: Tensor, neighbours: Neighbours, boil: Boil, anchor: Anchor | None = None
    ) -> Tensor:
        """What is to be added to `frame [1, 3, H, W]` in [0, 1]: `[1, 3, H, W]`.

        aligned: W(y_{t+k}) `[N, 3, H, W]` in the order of `neighbours`; boil: what its pixels were found to do; anchor:
        what it is held to besides.
        """
        size = frame.shape[-2], frame.shape[-1]
        order = sorted((0, *neighbours.offsets))
        row = {0: 0} | {offset: number + 1 for number, offset in enumerate(neighbours.offsets)}
        latents = torch.cat([self._codec.encode(each[None]) for each in (*frame, *aligned)])
        latents = torch.stack([latents[row[offset]] for offset in order])
        seen = torch.cat([torch.ones_like(neighbours.visible[:1]), neighbours.visible])
        seen = to_cells(torch.stack([seen[row[offset]] for offset in order]))[:, 0]
        doubt = doubt_of(to_cells(neighbours.flow_error_px)[0, 0])
        gate = cell_gate(boil.variance, size, self._options.least)
        first = latents[order.index(0)]
        held = None if anchor is None else self._held(anchor, first)
        wanted = first + self._change(latents, seen, order, doubt, gate, held)
        return self._codec.change(first[None], wanted[None], size)

    def _held(self, anchor: Anchor, first: Tensor) -> tuple[Tensor, Tensor]:
        """z_a − z_0 `[C, h, w]`, and how far the match of each cell can be trusted, 0 … 1, `[h, w]`."""
        sure = anchor.share * to_cells(anchor.visible)[0, 0].square() * (1 - doubt_of(to_cells(anchor.error_px)[0, 0]))
        return self._codec.encode(anchor.colours)[0] - first, sure

    def _change(
        self,
        latents: Tensor,
        seen: Tensor,
        order: list[int],
        doubt: Tensor,
        gate: Tensor,
        held: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """z* − z_0 `[C, h, w]`."""
        changes = []
        for group in self._codec.groups:
            part = latents[:, group]
            differences = part - part[order.index(0)]
            variance = latent_variance(differences, seen, order, self._options.suspicion * doubt) * gate
            links = link_strengths(part, seen, variance, self._options)
            links, known, differences = _centred(links, seen, differences, order)
            pull = None if held is None else held[1] * anchor_pull(held[0][group], variance, self._options)
            weights, anchored = middle_weights(known, links, curvature=self._options.curvature, pull=pull)
            change = (weights[:, None] * differences).sum(0)
            changes.append(change if held is None else change + anchored * held[0][group])
        return torch.cat(changes)


def to_cells(image: Tensor) -> Tensor:
    """Means over the pixels of each latent: `[N, C, H, W]` → `[N, C, ⌈H/8⌉, ⌈W/8⌉]`."""
    return F.avg_pool2d(image, FACTOR, ceil_mode=True, count_include_pad=False)


def cell_gate(variance: tuple[Tensor, ...], size: tuple[int, int], least: float) -> Tensor:
    """0 where no band of the pixels boils, towards 1 where they do: `[h, w]`."""
    whole = sum(F.interpolate(band, size=size, mode="bilinear", align_corners=False) for band in variance)
    cells = to_cells(torch.as_tensor(whole))[0, 0]
    return cells / (cells + least)


def latent_variance(differences: Tensor, seen: Tensor, order: list[int], suspicion: Tensor) -> Tensor:
    """σ² `[h, w]` of boil in aligned differences `[N, C, h, w]` from the frame, a mean over channels."""
    at = {offset: number for number, offset in enumerate(order)}
    across = [(at[-a], at[b]) for a in (1, 2) for b in (1, 2) if -a in at and b in at]
    beside = [(at[a], at[2 * a]) for a in (1, -1) if a in at and 2 * a in at]
    near = [(at[a], at[a]) for a in (1, -1) if a in at]
    every = [(row, row) for row in at.values() if order[row] != 0]
    opposite, same, nearest, energy, all_energy = (
        _product(differences, seen, pairs) for pairs in (across, beside, across[:1], near, every)
    )
    if not across:  # at the edge of a shot: S is σ² of boil too, and E − S is 0 where a match is wrong
        opposite = torch.minimum(same, energy - same)
    excess = (same + nearest - energy).clamp_min(0) if across else torch.zeros_like(same)
    opening = ((opposite / all_energy.clamp_min(1e-12) - 0.15) / 0.2).clamp(0, 1)
    return (opposite - suspicion * excess).clamp_min(0) * opening


def _product(differences: Tensor, seen: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """Local mean of D_i · D_j over pairs and channels, where both are seen: `[h, w]`."""
    if not pairs:
        return torch.zeros_like(seen[0])
    mass = torch.stack([seen[i] * seen[j] for i, j in pairs])
    product = torch.stack([(differences[i] * differences[j]).mean(0) for i, j in pairs])
    return box_mean((mass * product).sum(0), 2) / box_mean(mass.sum(0), 2).clamp_min(1e-3)


def link_strengths(latents: Tensor, seen: Tensor, variance: Tensor, options: LatentOptions) -> Tensor:
    """λ `[N − 1, h, w]`: variance of boil over that of what else changes between two frames; 0 where none boils."""
    squared = box_mean(latents.diff(dim=0).square().mean(1), 1)
    misfit = options.misfit_share * (squared - 2 * (1 + options.tolerance) * variance).clamp_min(0)
    strength = variance / (misfit + variance / options.stiffness + 1e-12)
    return strength * ((seen[1:] * seen[:-1] - 0.5) * 2).clamp_min(0)


def anchor_pull(difference: Tensor, variance: Tensor, options: LatentOptions) -> Tensor:
    """a `[h, w]` of an anchor at `difference [C, h, w]` from the frame: variance of the frame's boil over that of what
    is left of the anchor's. 0 where nothing boils, and where they differ by twice what boil explains: that is another
    thing, which nothing may be pulled to however little, since it would be so in every frame to come."""
    squared = box_mean(difference.square().mean(0)[None], 1)[0]
    explained = 2 * (1 + options.tolerance) * variance
    return options.anchor_stiffness * (2 - squared / (explained + 1e-12)).clamp(0, 1) * (variance > 0)


def _centred(links: Tensor, seen: Tensor, differences: Tensor, order: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The chain, lengthened at the edge of a shot by frames that nobody sees: the frame itself is in its middle."""
    reach = max(-order[0], order[-1])
    before, after = reach + order[0], reach - order[-1]
    pad = (0, 0, 0, 0, before, after)
    return F.pad(links, pad), F.pad(seen, pad), F.pad(differences, (0, 0, *pad))

"""Temporal attention that is learned: which of a frame and its aligned neighbours show a place as it is.

The attention of Vaswani et al. (NeurIPS 2017), softmax(QKᵀ / √d) V, over time: the query is the frame y at a pixel, keys
and values are its aligned neighbours X_k = W_k y_{t+k} and, as one more, the picture decided before, brought here. For
each band b of a Laplacian pyramid, luma and differences of colour apart,

    z_b = Σ_k p_kb X_kb,   p = softmax_k(a_kb − e^{g_kb} |X_k − y|² + log m_k + λ_b(|k|)),   k = 0 the frame itself,

m_k visibility, λ_b(|k|) the learned weight of the position in time. What p is made of, a and g, comes from a small
network that sees, at a quarter of the size, how X_k differs from y in each band, whether that follows y's own detail,
what all neighbours agree on (mean and spread of their encodings) and how wrong the motion may be. Finest bands are
decided at half the size, with |X_k − y|² as it is there, so that thin things stay. Differences of colour are looked at
at half the size, as 4:2:0 video stores them; what colour has that is finer stays.

Every output is a convex combination of what is really there: weights are positive and sum to 1, nothing is invented, and
equal neighbours give the frame back exactly. Kernels are symmetric, so a mirrored picture gives the mirrored result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deflicker.correction.texture.autoencoder.tensor_file import read_tensors
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import enlarge, merge_bands, shrink, split_bands
from deflicker.correction.texture.planes import Planes

BANDS = LEVELS + 1
"""Bands of luma that are averaged: details of 2 to 16 px, and the rest. Colour has no finest one."""
REACH = 4
"""Farthest neighbour whose position in time has a weight."""
MEMORY = 0
"""Distance in time that stands for the picture decided before."""
UNIT_PX = 1 << LEVELS
"""Sides are continued to multiples of it."""
WEIGHTS = Path(__file__).with_name("temporal_attention.safetensors")
"""Where the network in the package lies."""
_HEADS = BANDS + BANDS - 1
"""Weights of a neighbour: of each band of luma, then of colour."""
_FINE = (0, 1, BANDS)
"""Of them, those decided at half the size: the two finest of luma, the finest of colour."""
_FEATURES = 3 + LEVELS + 2 + 2 + 1
_CONTEXT = 1 + LEVELS + 1
_UNSEEN = 1e-4
"""Added to visibility: what is hidden counts no more than that."""


@dataclass(frozen=True, eq=False)
class Values:
    """What a frame is compared with, B frames at once."""

    pictures: Planes
    """`[B, N, ...]`, brought to the frame."""
    visible: Tensor
    """`[B, N, 1, H, W]` in [0, 1]."""
    flow_error_px: Tensor
    """`[B, 1, H, W]`: how wrong the motion may be here."""
    distances: tuple[int, ...]
    """Of each of the N in time, without sign: 1 … REACH, or MEMORY."""


class MirroredConv(nn.Conv2d):
    """A convolution whose kernels are their own mirror images, so that it commutes with flips."""

    def forward(self, features: Tensor) -> Tensor:
        return self._conv_forward(features, mirrored(self.weight), self.bias)


def mirrored(kernel: Tensor) -> Tensor:
    """The mean of a kernel and its mirror images."""
    both = kernel + kernel.flip(-1)
    return (both + both.flip(-2)) / 4


class TemporalAttention(nn.Module):
    """See the module's description. width: of its features; more tell more and cost more."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.first = _conv(_FEATURES, width)
        self.context = _conv(_CONTEXT, width)
        self.second = _conv(width, width)
        self.mixed = _conv(width, width)
        self.shared = _conv(2 * width, width)
        self.third = _conv(width, width)
        self.heads = nn.Conv2d(width, _HEADS + len(_FINE), 1)
        self.own = _conv(3 * width, width)
        self.own_heads = nn.Conv2d(width, _HEADS, 1)
        self.place = nn.Parameter(torch.zeros(REACH + 1, width))
        self.position = nn.Parameter(-0.1 * torch.arange(REACH + 1.0)[:, None].expand(-1, _HEADS).clone())
        """λ: `[REACH + 1, _HEADS]`."""
        for heads in (self.heads, self.own_heads):
            nn.init.normal_(heads.weight, std=0.02)
            nn.init.zeros_(heads.bias)
        nn.init.constant_(self.heads.bias[_HEADS:], -1.0)  # type: ignore[arg-type]

    def forward(self, frames: Planes, values: Values) -> Planes:
        """What is added to frames `[B, ...]`: z − y, of the same shape."""
        size, half = frames.luma.shape[-2:], frames.chroma.shape[-2:]
        count = values.visible.shape[:2]
        own = Planes(_padded(frames.luma, UNIT_PX), _padded(frames.chroma, UNIT_PX // 2))
        luma = _padded((values.pictures.luma - frames.luma[:, None]).flatten(0, 1), UNIT_PX)
        chroma = _padded((values.pictures.chroma - frames.chroma[:, None]).flatten(0, 1), UNIT_PX // 2)
        visible = _quarter(_padded(values.visible.flatten(0, 1), UNIT_PX))
        error_px = _quarter(_padded(values.flow_error_px, UNIT_PX))
        differences = Planes(luma, chroma)
        bands = Planes2(split_bands(luma, LEVELS), split_bands(chroma, LEVELS - 1))
        shares = self.shares(own, differences, bands, visible, error_px, values.distances, count)
        parts = [_weighted(band.unflatten(0, count), shares[i]) for i, band in enumerate(bands.luma)]
        colour = [_weighted(band.unflatten(0, count), shares[BANDS + i]) for i, band in enumerate(bands.chroma)]
        return Planes(merge_bands(parts)[..., : size[0], : size[1]], merge_bands(colour)[..., : half[0], : half[1]])

    def shares(
        self,
        own: Planes,
        differences: Planes,
        bands: Planes2,
        visible: Tensor,
        error_px: Tensor,
        distances: Sequence[int],
        count: tuple[int, int],
    ) -> list[Tensor]:
        """p of the N neighbours for each band of luma, then of colour: `[B, N, 1, h, w]`, at half the size or less.

        own: the frames; differences `[B N, ...]`: X − y; bands: of these; visible, error_px: at a quarter of the size.
        """
        features, context = _seen(own, differences, bands, visible), _context(own, error_px)
        places = list(distances)
        about = self.context(context)
        encoded = self.first(features).unflatten(0, count)
        encoded = F.relu(encoded + (about[:, None] + self.place[places].view(1, len(places), -1, 1, 1)))
        encoded = F.relu(self.second(encoded.flatten(0, 1))).unflatten(0, count)
        known = visible.unflatten(0, count)
        part = known / (known.sum(1, keepdim=True) + 1e-3)
        mean = (encoded * part).sum(1)
        spread = ((encoded - mean[:, None]).square() * part).sum(1).add(1e-6).sqrt()
        agreed = torch.cat([mean, spread], 1)
        mixed = F.relu(self.mixed(encoded.flatten(0, 1)).unflatten(0, count) + self.shared(agreed)[:, None])
        scores = self.heads(F.relu(self.third(mixed.flatten(0, 1)))).unflatten(0, count)
        own_scores = self.own_heads(F.relu(self.own(torch.cat([agreed, about], 1))))[:, None]
        scores, doubts = scores.tensor_split([_HEADS], 2)
        scores = scores + (self.position[places].view(1, len(places), -1, 1, 1) + (known + _UNSEEN).log())
        fine = self._fine(scores[:, :, _FINE], doubts, own_scores[:, :, _FINE], differences)
        coarse = torch.softmax(torch.cat([own_scores, scores], 1), 1)[:, 1:]
        found = []
        for head in range(_HEADS):
            level = head if head < BANDS else head - BANDS + 1
            share = fine[:, :, [_FINE.index(head)]] if head in _FINE else coarse[:, :, head : head + 1]
            for _ in range(level - 2):
                share = shrink(share)
            found.append(share)
        return found

    def _fine(self, scores: Tensor, doubts: Tensor, own_scores: Tensor, differences: Planes) -> Tensor:
        """p of the finest bands, at half the size, `[B, N, 3, h, w]`."""
        count = scores.shape[:2]
        squared = shrink(differences.luma.square()) + differences.chroma.square().sum(1, keepdim=True)
        misfit = (1000 * squared).clamp(max=60).unflatten(0, count)
        both = enlarge(torch.cat([scores, doubts.clamp(-6, 3)], 2).flatten(0, 1)).unflatten(0, count)
        fine, doubts = both.chunk(2, 2)
        fine = fine - doubts.exp() * misfit
        own_fine = enlarge(own_scores.flatten(0, 1)).unflatten(0, (-1, 1))
        return torch.softmax(torch.cat([own_fine, fine], 1), 1)[:, 1:]


@dataclass(frozen=True, eq=False)
class Planes2:
    """Laplacian bands of planes, finest first."""

    luma: list[Tensor]
    chroma: list[Tensor]


def _conv(into: int, out: int) -> MirroredConv:
    return MirroredConv(into, out, 3, padding=1)


def _seen(own: Planes, differences: Planes, bands: Planes2, visible: Tensor) -> Tensor:
    """What is known of each neighbour: `[B N, _FEATURES, ⌈H / 4⌉, ⌈W / 4⌉]`."""
    count = len(differences.luma) // len(own.luma)
    signed = torch.cat([_quarter(differences.luma), shrink(differences.chroma)], 1)
    luma = [_quartered(band.square(), level) for level, band in enumerate(bands.luma[:-1])]
    chroma = [_quartered(band.square().sum(1, keepdim=True), level + 1) for level, band in enumerate(bands.chroma[:-1])]
    following = []
    for level, detail in enumerate(split_bands(own.luma, 2)[:-1]):
        energy = _quartered(detail.square(), level) + 1e-4
        if count > 1:
            detail, energy = (each.repeat_interleave(count, 0) for each in (detail, energy))
        following.append((_quartered(detail * bands.luma[level], level) / energy).clamp(-2, 2))
    levels = torch.cat([*luma, chroma[0], chroma[1] + chroma[2]], 1)
    levels = (16 * (levels + 1e-6).sqrt()).clamp(max=4)
    return torch.cat([(16 * signed).clamp(-3, 3), levels, *following, visible], 1)


def _context(own: Planes, error_px: Tensor) -> Tensor:
    """What is known of the frame itself: `[B, _CONTEXT, ⌈H / 4⌉, ⌈W / 4⌉]`."""
    bands = split_bands(own.luma, LEVELS)[:-1]
    energies = torch.cat([_quartered(band.square(), level) for level, band in enumerate(bands)], 1)
    levels = (8 * (energies + 1e-6).sqrt()).clamp(max=4)
    return torch.cat([_quarter(own.luma) - 0.5, levels, error_px.clamp(max=2)], 1)


def _quarter(image: Tensor) -> Tensor:
    return shrink(shrink(image))


def _quartered(image: Tensor, level: int) -> Tensor:
    """Something of a band's size at a quarter of the picture's."""
    for _ in range(2 - level):
        image = shrink(image)
    for _ in range(level - 2):
        image = enlarge(image)
    return image


def _padded(image: Tensor, unit: int) -> Tensor:
    """The picture, its edge continued to sides that are multiples of `unit`."""
    below, right = -image.shape[-2] % unit, -image.shape[-1] % unit
    return F.pad(image, (0, right, 0, below), mode="replicate") if below or right else image


def _weighted(band: Tensor, share: Tensor) -> Tensor:
    """Σ_k p_k X_k of `[B, N, C, h, w]`; weights of half the size count for 2 × 2 pixels each."""
    if share.shape[-1] == band.shape[-1]:
        return (share * band).sum(1)
    blocks = band.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    return (share[..., :, None, :, None] * blocks).sum(1).flatten(-4, -3).flatten(-2)


@lru_cache(maxsize=4)
def load_attention(device: str = "cpu") -> TemporalAttention:
    """The network in the package, on a device; shared, as it changes nothing in use."""
    tensors = read_tensors(WEIGHTS)
    network = TemporalAttention(tensors["place"].shape[1])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return network.eval().requires_grad_(False).to(device)

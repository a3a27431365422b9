"""Temporal attention that is learned: which of a frame and its aligned neighbours show a place as it is.

The attention of Vaswani et al. (NeurIPS 2017), softmax(QKᵀ / √d) V, over time: the query is the frame y at a pixel, keys
and values are its aligned neighbours X_k = W_k y_{t+k} and, as one more, the picture decided before, brought here. For
each Laplacian band b, luma and chroma apart,

    z_b = Σ_k p_kb X_kb,   p = softmax_k(a_kb − e^{g_kb} |X_k − y|² + log m_k + λ_b(|k|)),   k = 0 the frame itself,

m_k visibility, λ_b(|k|) the learned weight of the position in time. What p is made of, a and g, comes from a small
network that sees, at a quarter of the size, how X_k differs from y in each band, whether that follows y's own detail,
what all neighbours agree on (mean and spread of their encodings) and how wrong the motion may be. Finest bands are
decided at half the size, with |X_k − y|² as it is there, so that thin things stay.

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

from deflicker.correction.texture.laplacian import merge_bands, pool, shrink, split_bands, spread
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.autoencoder.tensor_file import read_tensors

BANDS = LEVELS + 1
"""Bands that are averaged: details of 2 to 16 px, and the rest."""
FINE = 2
"""Bands decided at half the size, the others at a quarter."""
REACH = 4
"""Farthest neighbour whose position in time has a weight."""
MEMORY = 0
"""Distance in time that stands for the picture decided before."""
WEIGHTS = Path(__file__).with_name("temporal_attention.safetensors")
"""Where the network in the package lies."""
_QUARTER = 4
_SIGNED, _ENERGIES, _FOLLOWING = 3, LEVELS + 2, 2
_FEATURES = _SIGNED + _ENERGIES + _FOLLOWING + 1
_CONTEXT = LEVELS + 2
_UNSEEN = 1e-4
"""Added to visibility: what is hidden counts no more than that."""
_TO_YCC = ((0.2126, 0.7152, 0.0722), (-0.1146, -0.3854, 0.5), (0.5, -0.4542, -0.0458))
"""ITU-R BT.709 luma and differences of colour."""


@dataclass(frozen=True, eq=False)
class Values:
    """What a frame is compared with, B frames at once."""

    pictures: Tensor
    """`[B, N, 3, H, W]` R'G'B' in [0, 1], brought to the frame."""
    visible: Tensor
    """`[B, N, 1, H, W]` in [0, 1]."""
    flow_error_px: Tensor
    """`[B, 1, H, W]`: how wrong the motion may be here."""
    distances: tuple[int, ...]
    """Of each of the N in time, without sign: 1 … REACH, or MEMORY."""


class MirroredConv(nn.Conv2d):
    """A convolution whose kernels are their own mirror images, so that it commutes with flips."""

    def forward(self, features: Tensor) -> Tensor:
        return self._conv_forward(features, self.kernel(), self.bias)

    def kernel(self) -> Tensor:
        """The weights in use."""
        w = self.weight
        return (w + w.flip(-1) + w.flip(-2) + w.flip((-2, -1))) / 4


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
        self.heads = nn.Conv2d(width, 2 * BANDS + FINE, 1)
        self.own = _conv(3 * width, width)
        self.own_heads = nn.Conv2d(width, 2 * BANDS, 1)
        self.place = nn.Parameter(torch.zeros(REACH + 1, width))
        self.position = nn.Parameter(-0.1 * torch.arange(REACH + 1.0)[:, None].expand(-1, 2 * BANDS).clone())
        """λ: `[REACH + 1, 2 BANDS]`."""
        for heads in (self.heads, self.own_heads):
            nn.init.normal_(heads.weight, std=0.02)
            nn.init.zeros_(heads.bias)
        nn.init.constant_(self.heads.bias[2 * BANDS :], -1.0)  # type: ignore[arg-type]

    def forward(self, frames: Tensor, values: Values) -> Tensor:
        """What is added to R'G'B' `[B, 3, H, W]` in [0, 1]: z − y, of the same shape."""
        to_ycc = frames.new_tensor(_TO_YCC)
        own = torch.einsum("ij,bjhw->bihw", to_ycc, frames)
        count, size = values.pictures.shape[:2], frames.shape[-2:]
        differences = torch.einsum("ij,bnjhw->bnihw", to_ycc, values.pictures - frames[:, None])
        bands = split_bands(differences.flatten(0, 1), LEVELS)
        shares = self.shares(own, differences, bands, values)
        parts = []
        for band, share in zip(bands, shares, strict=True):
            share = _fitted(share, band.shape[-2:])[:, :, [0, 1, 1]]
            parts.append(_weighted(band.unflatten(0, count), share))
        change = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), merge_bands(parts))
        return change[..., : size[0], : size[1]]

    def shares(self, own: Tensor, differences: Tensor, bands: Sequence[Tensor], values: Values) -> list[Tensor]:
        """p of the N neighbours, luma and chroma, for each band: `[B, N, 2, h, w]`, at no more than half the size.

        own: the frames, luma and differences of colour; differences: X − y likewise; bands: of these.
        """
        batch, count = differences.shape[:2]
        flat = differences.flatten(0, 1)
        visible = values.visible.flatten(0, 1)
        features, context = self._seen(own, flat, bands, visible), _context(own, values.flow_error_px)
        places = list(values.distances)
        about = self.context(context)
        encoded = self.first(features).unflatten(0, (batch, count))
        encoded = F.relu(encoded + about[:, None] + self.place[places].view(1, count, -1, 1, 1))
        encoded = F.relu(self.second(encoded.flatten(0, 1))).unflatten(0, (batch, count))
        known = pool(visible, _QUARTER).unflatten(0, (batch, count))
        mass = known.sum(1) + 1e-3
        mean = (encoded * known).sum(1) / mass
        spread_ = (((encoded - mean[:, None]).square() * known).sum(1) / mass + 1e-6).sqrt()
        agreed = torch.cat([mean, spread_], 1)
        mixed = self.mixed(encoded.flatten(0, 1)).unflatten(0, (batch, count)) + self.shared(agreed)[:, None]
        scores = self.heads(F.relu(self.third(F.relu(mixed.flatten(0, 1))))).unflatten(0, (batch, count))
        own_scores = self.own_heads(F.relu(self.own(torch.cat([agreed, about], 1))))
        scores, doubts = scores.tensor_split([2 * BANDS], 2)
        scores = scores + self.position[places].view(1, count, -1, 1, 1) + (known + _UNSEEN).log()
        return self._softmaxed(scores, doubts, own_scores, flat, visible)

    def _softmaxed(
        self, scores: Tensor, doubts: Tensor, own_scores: Tensor, differences: Tensor, visible: Tensor
    ) -> list[Tensor]:
        """Scores of all bands as weights. differences `[B N, 3, H, W]`, visible `[B N, 1, H, W]`."""
        count = scores.shape[:2]
        fine, coarse = scores.tensor_split([2 * FINE], 2)
        own_fine, own_coarse = own_scores.tensor_split([2 * FINE], 1)
        squared = shrink(differences.square()).sum(1, keepdim=True)
        size = squared.shape[-2:]
        misfit = (1000 * squared).clamp(max=60).unflatten(0, count)
        up = spread(torch.cat([fine, doubts], 2).flatten(0, 1), 2, size).unflatten(0, count)
        fine, doubts = up.tensor_split([2 * FINE], 2)
        fine = fine - doubts.clamp(-6, 3).exp().repeat_interleave(2, 2) * misfit
        own_fine = spread(own_fine, 2, size)
        p_fine = torch.softmax(torch.cat([own_fine[:, None], fine], 1), 1)[:, 1:]
        p_coarse = torch.softmax(torch.cat([own_coarse[:, None], coarse], 1), 1)[:, 1:]
        by_band = [p_fine[:, :, 2 * b : 2 * b + 2] for b in range(FINE)]
        return by_band + [p_coarse[:, :, 2 * b : 2 * b + 2] for b in range(BANDS - FINE)]

    def _seen(self, own: Tensor, differences: Tensor, bands: Sequence[Tensor], visible: Tensor) -> Tensor:
        """What is known of each neighbour: `[B N, _FEATURES, ⌈H / 4⌉, ⌈W / 4⌉]`."""
        small = pool(differences, _QUARTER)
        size, count = small.shape[-2:], len(differences) // len(own)
        energies = [_quartered(band.square(), level, size) for level, band in enumerate(bands[:-1])]
        luma = torch.cat([energy[:, :1] for energy in energies], 1)
        chroma = [energy[:, 1:].sum(1, keepdim=True) for energy in energies]
        colour = torch.cat([chroma[0] + chroma[1], chroma[2] + chroma[3]], 1)
        following = []
        for level, detail in enumerate(split_bands(own[:, :1], _FOLLOWING)[:-1]):
            repeated = detail.repeat_interleave(count, 0)
            product = _quartered(repeated * bands[level][:, :1], level, size)
            energy = _quartered(detail.square(), level, size).repeat_interleave(count, 0)
            following.append((product / (energy + 1e-4)).clamp(-2, 2))
        levels = (16 * (torch.cat([luma, colour], 1) + 1e-6).sqrt()).clamp(max=4)
        return torch.cat([(16 * small).clamp(-3, 3), levels, *following, pool(visible, _QUARTER)], 1)


def _conv(into: int, out: int) -> MirroredConv:
    return MirroredConv(into, out, 3, padding=1)


def _context(own: Tensor, flow_error_px: Tensor) -> Tensor:
    """What is known of the frame itself: `[B, _CONTEXT, ⌈H / 4⌉, ⌈W / 4⌉]`."""
    light = pool(own[:, :1], _QUARTER) - 0.5
    bands = split_bands(own[:, :1], LEVELS)[:-1]
    energies = torch.cat([_quartered(band.square(), level, light.shape[-2:]) for level, band in enumerate(bands)], 1)
    levels = (8 * (energies + 1e-6).sqrt()).clamp(max=4)
    return torch.cat([light, levels, pool(flow_error_px, _QUARTER).clamp(max=2)], 1)


def _quartered(image: Tensor, level: int, size: Sequence[int]) -> Tensor:
    """Something of a band's size at a quarter of the picture's."""
    if level < 2:
        return pool(image, _QUARTER >> level)
    return image if level == 2 else spread(image, 1 << (level - 2), size)


def _fitted(share: Tensor, size: Sequence[int]) -> Tensor:
    """Weights at the size of a band, or at half of it."""
    while share.shape[-1] > size[-1]:
        share = shrink(share.flatten(0, 1)).unflatten(0, share.shape[:2])
    return share


def _weighted(band: Tensor, share: Tensor) -> Tensor:
    """Σ_k p_k X_k of `[B, N, 3, h, w]`; weights of half the size count for 2 × 2 pixels each."""
    height, width = band.shape[-2:]
    if share.shape[-1] == width:
        return (share * band).sum(1)
    even = F.pad(band, (0, -width % 2, 0, -height % 2))
    blocks = even.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    found = (share[..., :, None, :, None] * blocks).sum(1)
    return found.flatten(-4, -3).flatten(-2)[..., :height, :width]


@lru_cache(maxsize=4)
def load_attention(device: str = "cpu") -> TemporalAttention:
    """The network in the package, on a device; shared, as it changes nothing in use."""
    tensors = read_tensors(WEIGHTS)
    network = TemporalAttention(tensors["place"].shape[1])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return network.eval().requires_grad_(False).to(device)

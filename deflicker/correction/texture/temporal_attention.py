"""Temporal attention that is learned: which of a frame and its aligned neighbours show a place as it is.

The attention of Vaswani et al. (NeurIPS 2017), softmax(QKᵀ / √d) V, over time: the query is the frame y at a pixel,
keys and values are its aligned neighbours X_k = W_k y_{t+k} and, as one more, the picture decided before, brought here.
For each band b of a Laplacian pyramid, luma and differences of colour apart,

    z_b = Σ_k p_kb X_kb,   p = softmax_k(a_kb − e^{g_kb} |X_k − y|² + log m_k + λ_b(|k|)),   k = 0 the frame itself,

m_k visibility, λ_b(|k|) the learned weight of the position in time. What p is made of, a and g, comes from a small
network that sees, at a quarter of the size, how X_k differs from y in each band, whether that follows y's own detail,
what all neighbours agree on (mean and spread of their encodings) and how wrong the motion may be. Finest bands are
decided at half the size, with |X_k − y|² as it is there, so that thin things stay. Differences of colour are looked at
at half the size, as 4:2:0 video stores them; what colour has that is finer stays.

Every output is a convex combination of what is really there: weights are positive and sum to 1, nothing is invented,
and equal neighbours give the frame back exactly. Kernels are symmetric, so a mirrored picture gives the mirrored
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from deflicker.correction.texture.comparison import Bands, Comparison, quarter, quartered
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.laplacian import enlarge, shrink
from deflicker.motion.filters import sum_of

BANDS = LEVELS + 1
"""Bands of luma that are averaged: details of 2 to 16 px, and the rest. Colour has no finest one."""
REACH = 4
"""Farthest neighbour whose position in time has a weight."""
MEMORY = 0
"""Offset in time that stands for the picture decided before."""
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
_DOUBT = (-6.0, 3.0)
"""Bounds of g."""


class MirroredConv(nn.Conv2d):
    """A convolution whose kernels are their own mirror images, so that it commutes with flips."""

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, mirrored(self.weight), self.bias, padding=self.padding)


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
            nn.init.zeros_(torch.as_tensor(heads.bias))
        nn.init.constant_(torch.as_tensor(self.heads.bias)[_HEADS:], -1.0)

    def forward(self, seen: Comparison) -> Bands:
        """What is added to the frames, z − y, band by band."""
        shares, count = self.shares(seen), seen.count
        luma = [_weighted(_parted(band, count), shares[i]) for i, band in enumerate(seen.bands.luma)]
        chroma = [_weighted(_parted(band, count), shares[BANDS + i]) for i, band in enumerate(seen.bands.chroma)]
        return Bands(luma, chroma)

    def shares(self, seen: Comparison) -> list[Tensor]:
        """p of the N neighbours for each band of luma, then of colour: `[B, N, 1, h, w]`, at half the size or less.

        The frame's own is what is left to 1.
        """
        scores, doubts, own_scores = self._scores(seen)
        fine = self._fine(_of_fine(scores), doubts, _of_fine(own_scores), seen)
        coarse = _softmax(scores, own_scores, seen.count)
        found = []
        for head in range(_HEADS):
            level = head if head < BANDS else head - BANDS + 1
            share = fine[:, :, _FINE.index(head)].unsqueeze(2) if head in _FINE else coarse[:, :, head : head + 1]
            for _ in range(level - 2):
                share = shrink(share)
            found.append(share)
        return found

    def _scores(self, seen: Comparison) -> tuple[Tensor, Tensor, Tensor]:
        """At a quarter of the size: scores of the neighbours `[B N, _HEADS, h, w]`, g `[B N, 3, h, w]`, and the frames'
        own scores `[B, _HEADS, h, w]`.
        """
        count, known = seen.count, seen.visible
        places = [abs(offset) for offset in seen.offsets]
        about = self.context(_packed(_context(seen)))
        encoded = self.first(_packed(_features(seen))).add_(_rows(self.place, places, count[0]))
        encoded = encoded.add_(_each(about, count)).relu_()
        encoded = self.second(encoded).relu_()
        mass = _each(_summed(known, count), count) + 1e-3
        part = known / mass
        mean = _summed(encoded * part, count)
        spread = (_summed((encoded - _each(mean, count)).square().mul_(part), count) + 1e-6).sqrt()
        agreed = torch.cat([mean, spread], 1)
        mixed = self.mixed(encoded).add_(_each(self.shared(agreed), count)).relu_()
        scores, doubts = self.heads(self.third(mixed).relu_()).tensor_split([_HEADS], 1)
        scores = scores + (_rows(self.position, places, count[0]) + (known + _UNSEEN).log())
        return scores, doubts, self.own_heads(self.own(torch.cat([agreed, about], 1)).relu_())

    def _fine(self, scores: Tensor, doubts: Tensor, own_scores: Tensor, seen: Comparison) -> Tensor:
        """p of the finest bands, at half the size, `[B, N, 3, h, w]`."""
        luma, chroma = seen.differences.luma, seen.differences.chroma
        squared = shrink(luma.square()) + chroma.square().sum(1, keepdim=True)
        misfit = (1000 * squared).clamp(max=60)
        fine, doubts = enlarge(torch.cat([scores, doubts.clamp(*_DOUBT)], 1).contiguous()).chunk(2, 1)
        return _softmax(fine - doubts.exp() * misfit, enlarge(own_scores.contiguous()), seen.count)


def _conv(into: int, out: int) -> MirroredConv:
    return MirroredConv(into, out, 3, padding=1)


def _of_fine(scores: Tensor) -> Tensor:
    """The channels `_FINE`. (Lists as indices are copied to a GPU each time, which waits for it.)"""
    return torch.cat([scores[:, head : head + 1] for head in _FINE], 1)


def _rows(table: Tensor, numbers: Sequence[int], repeats: int) -> Tensor:
    """Rows of a table, all of them so many times over, as `[rows, C, 1, 1]`."""
    return torch.stack([table[number] for number in numbers]).repeat(repeats, 1)[..., None, None]


def _packed(features: Tensor) -> Tensor:
    """In the layout that convolutions are fastest in."""
    return features.contiguous(memory_format=torch.channels_last)


def _parted(values: Tensor, count: tuple[int, int]) -> Tensor:
    """`[B N, ...]` → `[B, N, ...]`."""
    return values.reshape(*count, *values.shape[1:])


def _summed(values: Tensor, count: tuple[int, int]) -> Tensor:
    """Σ over neighbours: `[B N, ...]` → `[B, ...]`."""
    return sum_of([values[k : k + 1] for k in range(count[1])]) if count[0] == 1 else _parted(values, count).sum(1)


def _each(values: Tensor, count: tuple[int, int]) -> Tensor:
    """The frame's for each of its neighbours: `[B, ...]` → what goes with `[B N, ...]`."""
    return values if count[0] == 1 else values.repeat_interleave(count[1], 0)


def _softmax(scores: Tensor, own_scores: Tensor, count: tuple[int, int]) -> Tensor:
    """Weights of the neighbours among themselves and the frame: `[B, N, C, h, w]`."""
    every = torch.cat([own_scores[:, None], _parted(scores, count)], 1)
    return torch.softmax(every, 1)[:, 1:]


def _features(seen: Comparison) -> Tensor:
    """What is known of each neighbour: `[B N, _FEATURES, H / 4, W / 4]`."""
    bands, count = seen.bands, seen.count
    signed = torch.cat([quarter(seen.differences.luma), shrink(seen.differences.chroma)], 1)
    luma = [quartered(band.square(), level) for level, band in enumerate(bands.luma[:-1])]
    chroma = [quartered(band.square().sum(1, keepdim=True), level + 1) for level, band in enumerate(bands.chroma[:-1])]
    following = []
    for level, detail in enumerate(seen.own_bands[:2]):
        energy = quartered(detail.square(), level) + 1e-4
        product = quartered(_each(detail, count) * bands.luma[level], level)
        following.append((product / _each(energy, count)).clamp(-2, 2))
    levels = torch.cat([*luma, chroma[0], chroma[1] + chroma[2]], 1)
    levels = (16 * (levels + 1e-6).sqrt()).clamp(max=4)
    return torch.cat([(16 * signed).clamp(-3, 3), levels, *following, seen.visible], 1)


def _context(seen: Comparison) -> Tensor:
    """What is known of the frames themselves: `[B, _CONTEXT, H / 4, W / 4]`."""
    energies = [quartered(band.square(), level) for level, band in enumerate(seen.own_bands[:-1])]
    levels = (8 * (torch.cat(energies, 1) + 1e-6).sqrt()).clamp(max=4)
    return torch.cat([quarter(seen.own_luma) - 0.5, levels, seen.flow_error_px.clamp(max=2)], 1)


def _weighted(band: Tensor, share: Tensor) -> Tensor:
    """Σ_k p_k X_k of `[B, N, C, h, w]`; weights of half the size count for 2 × 2 pixels each."""
    if share.shape[-1] == band.shape[-1]:
        return (share * band).sum(1)
    height, width = band.shape[-2:]
    blocks = band.reshape(*band.shape[:-2], height // 2, 2, width // 2, 2)
    return (share[..., :, None, :, None] * blocks).sum(1).reshape(-1, band.shape[2], height, width)


@lru_cache(maxsize=4)
def load_attention(device: str = "cpu") -> TemporalAttention:
    """The network in the package, on a device; shared, as it changes nothing in use."""
    tensors = load_file(WEIGHTS)
    network = TemporalAttention(tensors["place"].shape[1])
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return network.eval().requires_grad_(False).to(device)

"""The autoencoder of this project: 8× down, 48 channels, made so that averages and differences of latents mean much.

Three channels are the *tone*: means over 8 × 8 pixels. The others are the *texture*: what is left of the frame without
its tone, as coefficients of a lapped transform (Malvar, IEEE TASSP 1990) of the lowest frequencies, to which a small
network adds what it has learnt; decoding is the same backwards. A change of tone is therefore in three channels and
boil is in the others by construction, and D is close to linear, so that D(z*) − D(z) is what z* − z means.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FACTOR = 8
TONE = 3
"""Channels that hold tone, the first ones."""
_LUMA, _CHROMA = 37, 4
"""Frequencies kept of luma and of each of two differences of colour."""
CHANNELS = TONE + _LUMA + 2 * _CHROMA
GROUPS = (slice(0, TONE), slice(TONE, TONE + 12), slice(TONE + 12, TONE + _LUMA), slice(TONE + _LUMA, CHANNELS))
"""Tone, low and high frequencies of luma, colour."""
_TO_LUMA_CHROMA = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
_FINE, _COARSE = 32, 64
"""Features at a quarter and at an eighth of the size."""


class OwnAutoencoder(nn.Module):
    """`[N, 3, H, W]` R'G'B' in [0, 1], sides divisible by 8 → `[N, 48, H/8, W/8]` → `[N, 3, H, W]`."""

    def __init__(self) -> None:
        super().__init__()
        analysis, synthesis = _lapped()
        self.analysis = nn.Parameter(analysis)
        """`[45, 3, 16, 16]`, applied every 8 pixels."""
        self.synthesis = nn.Parameter(synthesis)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, _FINE, 3, padding=1),
            _Block(_FINE),
            _Block(_FINE),
            nn.Conv2d(_FINE, _COARSE, 4, stride=2, padding=1),
            _Block(_COARSE),
            _Block(_COARSE),
            _silent(nn.Conv2d(_COARSE, CHANNELS - TONE, 3, padding=1)),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(CHANNELS, _COARSE, 3, padding=1),
            _Block(_COARSE),
            _Block(_COARSE),
            nn.Conv2d(_COARSE, 4 * _FINE, 1),
            nn.PixelShuffle(2),
            _Block(_FINE),
            _Block(_FINE),
            _silent(nn.Conv2d(_FINE, 48, 3, padding=1)),
            nn.PixelShuffle(4),
        )

    def encode(self, frames: Tensor) -> Tensor:
        """Weights may have less precision than frames: tone keeps that of the frames."""
        tone = F.avg_pool2d(frames, FACTOR)
        texture = (FACTOR * (frames - _spread(tone))).to(self.analysis.dtype)
        found = F.conv2d(texture, self.analysis, stride=FACTOR, padding=FACTOR // 2) + self.encoder(texture)
        return torch.cat([tone, found.to(tone)], 1)

    def decode(self, latents: Tensor) -> Tensor:
        tone = latents[:, :TONE]
        texture = latents[:, TONE:].to(self.synthesis.dtype)
        lapped = F.conv_transpose2d(texture, self.synthesis, stride=FACTOR, padding=FACTOR // 2)
        learnt = self.decoder(torch.cat([(tone - 0.5).to(texture), texture], 1))
        frames: Tensor = _spread(tone) + (lapped + learnt).to(tone) / FACTOR
        return frames

    def forward(self, frames: Tensor) -> Tensor:
        return self.decode(self.encode(frames))


class _Block(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        inner: Tensor = self.second(F.relu(self.first(F.relu(features))))
        return features + inner


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights of zero: training starts from the lapped transform."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _spread(tone: Tensor) -> Tensor:
    return F.interpolate(tone, scale_factor=FACTOR, mode="bilinear", align_corners=False)


def _lapped() -> tuple[Tensor, Tensor]:
    """Analysis and synthesis kernels `[45, 3, 16, 16]` of the lowest frequencies: orthonormal where all are kept."""
    n = torch.arange(2 * FACTOR, dtype=torch.float64)
    k = torch.arange(FACTOR, dtype=torch.float64)[:, None]
    window = torch.sin((n + 0.5) * math.pi / (2 * FACTOR))
    phase = (n + (FACTOR + 1) / 2) * (k + 0.5) * math.pi / FACTOR
    basis = math.sqrt(2 / FACTOR) * window * torch.cos(phase)
    order = sorted((y * y + x * x, y, x) for y in range(FACTOR) for x in range(FACTOR))
    plane = torch.stack([torch.outer(basis[y], basis[x]) for _, y, x in order])
    forward = torch.tensor(_TO_LUMA_CHROMA, dtype=torch.float64)
    backward = torch.linalg.inv(forward)
    rows = [(plane[i], 0) for i in range(_LUMA)] + [(plane[i], c) for c in (1, 2) for i in range(_CHROMA)]
    analysis = torch.stack([forward[c][:, None, None] * kernel for kernel, c in rows])
    synthesis = torch.stack([backward[:, c][:, None, None] * kernel for kernel, c in rows])
    return analysis.float() / FACTOR, synthesis.float() * FACTOR

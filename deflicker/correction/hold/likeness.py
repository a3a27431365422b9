"""How alike two drawings of the same thing are: the correlation of their texture around each pixel."""

from __future__ import annotations

from torch import Tensor

from deflicker.motion.filters import block_mean, box_mean, upsample_blocks

_BLOCK_PX = 4
_RADIUS = 1
"""Of the sums, in blocks, taken twice: 20 px in all."""


def likeness(one: Tensor, other: Tensor, noise: float = 0.004) -> Tensor:
    """2 ⟨a b⟩ / (⟨a²⟩ + ⟨b²⟩), `[1, 1, H, W]`: 1 where both are the same, 0 where they have nothing to do with each
    other. one, other: texture `[1, 1, H, W]` (`hold_bands.drawn`);
    noise: root mean square below which they count as alike, whatever they show."""
    size, faint = one.shape[-2:], noise**2
    product, energy = around(one * other), around(one.square() + other.square())
    return upsample_blocks((2 * product + faint) / (energy + faint), _BLOCK_PX, size)


def around(image: Tensor) -> Tensor:
    """Means around each block of 4 × 4 pixels."""
    return box_mean(box_mean(block_mean(image, _BLOCK_PX), _RADIUS), _RADIUS)

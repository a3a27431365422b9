"""Whether a shot is redrawn in every frame, from what holding its first pictures came to; and which is kept first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.correction.hold.hold_bands import drawn, fine
from deflicker.correction.hold.likeness import likeness
from deflicker.correction.texture.luma_chroma import luma_of_rgb
from deflicker.correction.types import SpaceDecision

_REDRAWN_SHARE = 0.4
"""Part of texture's energy that is redrawn, from which on a shot is held."""
_NOISE = 0.03
"""Root mean square of texture, over light, that may be noise."""
_REDRAWN_LEVELS = 3.0
"""Root mean square of what holding changes, in code values, from which on it is worth it."""

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Redrawing:
    """How much of a picture's texture is redrawn."""

    share: Tensor
    """Part of its energy by which it is less like the held texture than the guide is like what it was."""
    levels: Tensor
    """Root mean square of what holding changes, in code values of 255."""

    @classmethod
    def of(cls, textures: Pair, guides: Pair | None, allowed: Tensor, change: Tensor) -> Redrawing:
        """textures: held and drawn, `[1, 3, H, W]`; guides: even luma of the guide then and now, `[1, 1, H, W]`;
        allowed: where texture is held, `[1, 1, H, W]`; change: what comes of it, `[1, 3, H, W]`."""
        shares = []
        for band in (drawn, fine):
            old, new = band(luma_of_rgb(textures[0])), band(luma_of_rgb(textures[1]))
            expected = likeness(band(guides[0]), band(guides[1])) if guides else 1
            energy = new.square() * allowed
            lost = (expected - likeness(old, new, noise=_NOISE)) * energy
            shares.append(lost.sum() / energy.sum().clamp_min(1e-9))
        return cls(torch.stack(shares).amax().clamp(0, 1), 255 * change.square().mean().sqrt())


def decide(found: Sequence[Redrawing], *, guided: bool, always: bool) -> SpaceDecision | None:
    """How a shot is held, or None where it is not."""
    share, levels = (float(torch.stack(each).mean()) for each in ([f.share for f in found], [f.levels for f in found]))
    if always:
        return SpaceDecision("hold", share, levels, "as asked")
    if share < _REDRAWN_SHARE or levels < _REDRAWN_LEVELS:
        return None
    where = "its guide stays" if guided else "what moves with it stays"
    return SpaceDecision("hold", share, levels, f"it is drawn anew where {where} the same")


def typical(textures: Sequence[Tensor], aligned: Sequence[tuple[Tensor, Tensor]]) -> int:
    """Which of a shot's first pictures is kept first: most like those beside it, and no blurred one.

    textures: `[1, 3, H, W]` each; aligned: of each pair of neighbours, the later one as the earlier sees it, and the
    other way round.
    """
    alike: list[list[Tensor]] = [[] for _ in textures]
    for at, (later, earlier) in enumerate(aligned):
        alike[at].append(likeness(drawn(luma_of_rgb(textures[at])), drawn(luma_of_rgb(later))).mean())
        alike[at + 1].append(likeness(drawn(luma_of_rgb(textures[at + 1])), drawn(luma_of_rgb(earlier))).mean())
    sharp = torch.stack([texture.diff(dim=-1).square().mean() for texture in textures])
    score = torch.stack([torch.stack(each).mean() for each in alike]) * (sharp / sharp.median()).clamp(max=1)
    return int(score.argmax())

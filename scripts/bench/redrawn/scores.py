"""How steady a redrawn clip is along its source's motion, and what is left of its detail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.texture.luma_chroma import luma_of_rgb
from deflicker.motion.warp import warp

from ..motion import Motion
from ..scores import ewarp

FAR_FRAMES = 6


@dataclass(frozen=True)
class Scores:
    """Of one clip."""

    ewarp: float
    """Mean square of the step from frame to frame along the source's motion, over visible pixels, × 10⁴ (Lai 2018)."""
    far: float
    """Mean absolute difference of some frames to the first along the source's motion, where visible, in levels."""
    sharpness: float
    """Laplacian energy of luma over that of the redrawn clip."""
    lpips: float | None
    """LPIPS of some frames to those of the redrawn clip."""

    def to_dict(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Judge:
    """What clips drawn after one source are measured by."""

    drawn: Tensor
    """`[T, 3, H, W]` R'G'B' in [0, 1], as all clips."""
    near: Motion
    """The source's, between neighbours."""
    far: Motion
    """The source's, between the first frame and those at `far_places`."""
    perceived: Callable[[Tensor], float] | None = None
    """A clip's LPIPS to the redrawn one."""

    def scores(self, clip: Tensor) -> Scores:
        return Scores(
            ewarp=1e4 * (ewarp(clip, self.near) / 255) ** 2,
            far=self._far(clip),
            sharpness=laplacian_energy(clip) / laplacian_energy(self.drawn),
            lpips=self.perceived(clip) if self.perceived else None,
        )

    def _far(self, clip: Tensor) -> float:
        later = clip[far_places(len(clip))]
        first = warp(clip[:1].expand(len(later), -1, -1, -1), self.far.back_px)
        apart = (first - later).abs().mean(1, keepdim=True)
        return float(255 * (apart * self.far.back_visible).sum() / self.far.back_visible.sum().clamp_min(1))


def far_places(frames: int) -> list[int]:
    """Numbers of the frames that are compared with the first, evenly spread up to the last."""
    return [round(k * (frames - 1) / FAR_FRAMES) for k in range(1, FAR_FRAMES + 1)]


def laplacian_energy(clip: Tensor) -> float:
    """Mean square of luma's Laplacian over four neighbours."""
    luma = luma_of_rgb(clip)
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return float(F.conv2d(luma, kernel).square().mean())

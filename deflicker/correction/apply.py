"""Put a correction onto a frame's own planes, at their depth. A gain of zero leaves every sample as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.correction.colour_mix import apply_mix
from deflicker.correction.curve import apply_curve
from deflicker.media.color import as_tensors, chroma_range, luma_range, normalise, rgb_from_ycc, to_rgb
from deflicker.media.frame import Frame, Plane, PlaneLayout
from deflicker.motion.filters import is_surely_finite, ramp

_WHITE = (0.94, 0.99)
"""R'G'B' at which a sample begins to count as clipped, and does."""


@stored
@dataclass(frozen=True, eq=False)
class Correction:
    """What is to be done to one frame, at any size."""

    log_gain: Tensor
    """`[3, h, w]` on cells, or `[3, H, W]` on the proxy's pixels where gains have hard edges; natural logarithm,
    R'G'B'."""
    highlights: Tensor | None = None
    """`[3, H, W]` R'G'B' that clipped samples are kept at, on the proxy; None where nothing is clipped."""
    curve: Tensor | None = None
    """`[3, KNOTS]` log gain over log level (`correction.curve`), applied before `log_gain`; None is the identity."""
    detail: Tensor | None = None
    """`[1, H, W]`, added to R', G' and B' alike once their tone is right, or `[3, H, W]`, added to each; None where no
    texture boils."""
    as_it_is: Tensor | None = None
    """`[1, H, W]` bytes, 0 to 255: how far a pixel stays as it is, because it lies still over the picture; None where
    nothing does."""
    mix: Tensor | None = None
    """`[3, 2]` of `correction.colour_mix`, applied before the curve; None is the identity."""

    def scaled(self, strength: float) -> Correction:
        """A part of it, 0 … 1."""
        curve = None if self.curve is None else self.curve * strength
        mix = None if self.mix is None else self.mix * strength
        detail = None if self.detail is None else self.detail * strength
        return replace(self, log_gain=self.log_gain * strength, curve=curve, mix=mix, detail=detail)

    def applied(self, rgb: Tensor) -> Tensor:
        """Corrected R'G'B' of `rgb [3, H, W]`; where no finite number comes out, `rgb` itself."""
        toned = self._toned(rgb)
        if self.detail is not None:
            detail = F.interpolate(self.detail[None], size=_size(rgb), mode="bilinear", align_corners=False)[0]
            toned = torch.minimum(torch.maximum(toned + detail, toned.clamp_max(0)), toned.clamp_min(1))
        if self.as_it_is is not None:
            still = F.interpolate(self.as_it_is[None] / 255, size=_size(rgb), mode="bilinear", align_corners=False)[0]
            toned = torch.lerp(toned, rgb, still.to(toned))
        return toned if is_surely_finite(toned) else torch.where(toned.isfinite(), toned, rgb)

    def _toned(self, rgb: Tensor) -> Tensor:
        size = _size(rgb)
        mixed = rgb if self.mix is None else apply_mix(rgb, self.mix)
        curved = mixed if self.curve is None else apply_curve(mixed, self.curve)
        toned = apply_gain(curved, upsample_cells(self.log_gain, size))
        if self.highlights is None:
            return toned
        light = F.interpolate(self.highlights[None], size=size, mode="bilinear", align_corners=False)[0]
        clipped = ramp(rgb, _WHITE)
        return toned + clipped * (torch.minimum(rgb, light) - toned).clamp_min(0)


def with_detail(correction: Correction | None, detail: Tensor) -> Correction:
    """A correction that adds detail, `[1 | 3, H, W]`, to what it adds already; None corrects nothing so far."""
    correction = correction or Correction(detail.new_zeros(3, 1, 1))
    detail = detail.to(correction.log_gain.device)
    return replace(correction, detail=detail if correction.detail is None else correction.detail + detail)


def apply_gain(rgb: Tensor, log_gain: Tensor) -> Tensor:
    """y · exp(c), never pushed past white: rgb and log_gain `[..., 3, H, W]` alike.

    Values already beyond 0 … 1 (super-white, out of gamut) may stay there but go no further.
    """
    gained = log_gain.exp().mul_(rgb)
    return torch.minimum(gained, rgb.clamp_min(1), out=gained)


@lru_cache(maxsize=16)
def _interpolation(coarse: int, fine: int, device: str) -> Tensor:
    """Bicubic interpolation between cell centres as a matrix `[fine, coarse]`."""
    unit = torch.eye(coarse)[None, None]
    return F.interpolate(unit, size=(fine, coarse), mode="bicubic", align_corners=False)[0, 0].to(device)


def upsample_cells(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """A field of cells `[..., h, w]` at `size` pixels, bicubic. Two small matrix products: fast at any size."""
    device = str(cells.device)
    return _interpolation(cells.shape[-2], size[0], device) @ cells @ _interpolation(cells.shape[-1], size[1], device).T


def corrected_planes(frame: Frame, layout: PlaneLayout, correction: Correction) -> tuple[Plane, ...]:
    """The frame's planes with the correction applied; alpha is passed through.

    Only the change is computed in R'G'B' and added to the samples, so nothing outside R'G'B's gamut is clipped.
    """
    codes = as_tensors(frame.planes, layout, correction.log_gain.device)
    planes = normalise(codes, layout)
    _, span = luma_range(layout)
    full = _size(codes[0])
    change = _rgb_change(planes, layout, correction, full)
    if layout.family == "gray":
        deltas = [change.mean(0) * span]
    elif layout.family == "rgb":
        red, green, blue = change * span
        deltas = [green, blue, red]
    else:
        to_ycc = torch.linalg.inv(rgb_from_ycc(layout)).to(change)
        coarse = _size(codes[1])
        chroma_change = change if coarse == full else _rgb_change(planes, layout, correction, coarse)
        chroma = torch.einsum("ij,jhw->ihw", to_ycc[1:], chroma_change) * chroma_range(layout)[1]
        deltas = [torch.einsum("j,jhw->hw", to_ycc[0], change) * span, *chroma]
    top = float((1 << layout.bit_depth) - 1)
    values = [(code + delta).round_().clamp_(0, top) for code, delta in zip(codes, deltas, strict=True)]
    changed: list[Plane] = [
        each.numpy().astype(plane.dtype)  # type: ignore[misc]
        for each, plane in zip(_on_cpu(values, layout.bit_depth), frame.planes, strict=False)
    ]
    return (*changed, *frame.planes[len(changed) :])


def _on_cpu(planes: list[Tensor], bit_depth: int) -> list[Tensor]:
    """Planes of whole code values on the CPU: one copy and one wait for all, of as few bytes as they need."""
    if planes[0].device.type == "cpu":
        return planes
    flat = torch.cat([each.flatten() for each in planes]).to(torch.uint8 if bit_depth <= 8 else torch.int32).cpu()
    parts = torch.split(flat, [each.numel() for each in planes])
    return [part.view(each.shape) for part, each in zip(parts, planes, strict=True)]


def _size(plane: Tensor) -> tuple[int, int]:
    return plane.shape[-2], plane.shape[-1]


def _rgb_change(planes: list[Tensor], layout: PlaneLayout, correction: Correction, size: tuple[int, int]) -> Tensor:
    rgb = to_rgb(planes, layout, size)
    return correction.applied(rgb).sub_(rgb)


def toned_colours(rgb: Tensor, correction: Correction | None) -> Tensor:
    """R'G'B' `[3, H, W]` in [0, 1] with its correction applied."""
    return (rgb if correction is None else correction.applied(rgb)).clamp(0, 1)


def texture_size(height: int, width: int, max_side_px: int) -> tuple[int, int]:
    """Size at which texture is looked at: the frame's own, or smaller."""
    shrink = min(1.0, max_side_px / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def relit(frame: Frame, layout: PlaneLayout, correction: Correction | None) -> Frame:
    """The frame with a correction applied; the frame itself where none is given, or none reaches a sample."""
    if correction is None:
        return frame
    planes = corrected_planes(frame, layout, correction)
    if all(map(np.array_equal, planes, frame.planes)):
        return frame
    return replace(frame, planes=planes)

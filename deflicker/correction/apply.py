"""Put a log-gain field onto a frame's own planes, at their depth. A gain of zero leaves every sample as it was."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.media.color import as_tensors, chroma_range, luma_range, normalise, rgb_from_ycc, to_rgb
from deflicker.media.frame import Frame, Plane, PlaneLayout


def relight(rgb: Tensor, log_gain: Tensor) -> Tensor:
    """y · exp(c), never pushed past white: rgb and log_gain `[..., 3, H, W]` alike.

    Values already beyond 0 … 1 (super-white, out of gamut) may stay there but go no further.
    """
    return torch.minimum(rgb * log_gain.exp(), rgb.clamp_min(1))


@lru_cache(maxsize=16)
def _spread(coarse: int, fine: int, device: str) -> Tensor:
    """Bicubic interpolation between cell centres as a matrix `[fine, coarse]`."""
    unit = torch.eye(coarse)[None, None]
    return F.interpolate(unit, size=(fine, coarse), mode="bicubic", align_corners=False)[0, 0].to(device)


def spread(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """A field of cells `[..., h, w]` at `size` pixels, bicubic. Two small matrix products: fast at any size."""
    device = str(cells.device)
    return _spread(cells.shape[-2], size[0], device) @ cells @ _spread(cells.shape[-1], size[1], device).T


def corrected_planes(frame: Frame, layout: PlaneLayout, log_gain: Tensor) -> tuple[Plane, ...]:
    """The frame's planes with `log_gain [3, h, w]` (cells, R'G'B') applied; alpha is passed through.

    Only the change is computed in R'G'B' and added to the samples, so nothing outside R'G'B's gamut is clipped.
    """
    codes = as_tensors(frame.planes, layout, log_gain.device)
    planes = normalise(codes, layout)
    _, span = luma_range(layout)
    full = _size(codes[0])
    change = _rgb_change(planes, layout, log_gain, full)
    if layout.family == "gray":
        deltas = [change.mean(0) * span]
    elif layout.family == "rgb":
        red, green, blue = change * span
        deltas = [green, blue, red]
    else:
        to_ycc = torch.linalg.inv(rgb_from_ycc(layout)).to(change)
        coarse = _size(codes[1])
        chroma_change = change if coarse == full else _rgb_change(planes, layout, log_gain, coarse)
        chroma = torch.einsum("ij,jhw->ihw", to_ycc[1:], chroma_change) * chroma_range(layout)[1]
        deltas = [torch.einsum("j,jhw->hw", to_ycc[0], change) * span, *chroma]
    top = float((1 << layout.bit_depth) - 1)
    changed: list[Plane] = [
        (code + delta).round_().clamp_(0, top).to("cpu").numpy().astype(plane.dtype)  # type: ignore[misc]
        for code, delta, plane in zip(codes, deltas, frame.planes, strict=False)
    ]
    return (*changed, *frame.planes[len(changed) :])


def _size(plane: Tensor) -> tuple[int, int]:
    return plane.shape[-2], plane.shape[-1]


def _rgb_change(planes: list[Tensor], layout: PlaneLayout, log_gain: Tensor, size: tuple[int, int]) -> Tensor:
    rgb = to_rgb(planes, layout, size)
    return relight(rgb, spread(log_gain, size)) - rgb

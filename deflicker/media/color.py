"""Colour planes as tensors: R'G'B' proxies out of them, changes of R'G'B' back into them. Pure tensors, no codec.

Y'CbCr follows ITU-R BT.601, BT.709 and BT.2020 (non-constant luminance): Y' = Kr R' + Kg G' + Kb B',
Cb = (B' − Y') / 2(1 − Kb), Cr = (R' − Y') / 2(1 − Kr).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.media.frame import Frame, PlaneLayout

_LUMA_SHARES = {  # Kr, Kb
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}

BT709 = (0.2126, 0.7152, 0.0722)
"""Kr, Kg, Kb of ITU-R BT.709."""


def rgb_from_ycc(layout: PlaneLayout) -> Tensor:
    """Matrix `[3, 3]` taking (Y' in 0 … 1, Cb and Cr in -0.5 … 0.5) to R'G'B'."""
    if layout.matrix == "ycgco":
        return torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    kr, kb = _LUMA_SHARES[layout.matrix]
    kg = 1 - kr - kb
    to_red, to_blue = 2 * (1 - kr), 2 * (1 - kb)
    return torch.tensor([[1, 0, to_red], [1, -kb * to_blue / kg, -kr * to_red / kg], [1, to_blue, 0]])


def luma_range(layout: PlaneLayout) -> tuple[float, float]:
    """(code value of black, code values from black to white) of Y', R', G' and B' planes."""
    if layout.full_range or layout.family == "rgb":
        return 0.0, float((1 << layout.bit_depth) - 1)
    return 16.0 * (1 << (layout.bit_depth - 8)), 219.0 * (1 << (layout.bit_depth - 8))


def chroma_range(layout: PlaneLayout) -> tuple[float, float]:
    """(code value of no colour, code values per unit) of Cb and Cr planes."""
    centre = float(1 << (layout.bit_depth - 1))
    return centre, float((1 << layout.bit_depth) - 1) if layout.full_range else 224.0 * (1 << (layout.bit_depth - 8))


def normalise(planes: Sequence[Tensor], layout: PlaneLayout) -> list[Tensor]:
    """Integer colour planes `[H_i, W_i]` → float ones: Y' or R'G'B' in 0 … 1, chroma in -0.5 … 0.5 (headroom kept)."""
    black, span = luma_range(layout)
    if layout.family != "yuv":
        return [(plane.float() - black) / span for plane in planes]
    centre, unit = chroma_range(layout)
    luma, *chroma = planes
    return [(luma.float() - black) / span, *((plane.float() - centre) / unit for plane in chroma)]


def resize(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """`[H, W]` → `size`: mean over areas downwards, linear upwards."""
    if tuple(plane.shape) == size:
        return plane
    shrinks = plane.shape[0] >= size[0] and plane.shape[1] >= size[1]
    if shrinks:
        return F.interpolate(plane[None, None], size=size, mode="area")[0, 0]
    return F.interpolate(plane[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def bt709_luma(rgb: Tensor) -> Tensor:
    """Luma `[..., H, W]` of R'G'B' `[..., 3, H, W]` by ITU-R BT.709, in the same units."""
    return torch.einsum("...chw,c->...hw", rgb, rgb.new_tensor(BT709))


def to_rgb(planes: Sequence[Tensor], layout: PlaneLayout, size: tuple[int, int]) -> Tensor:
    """R'G'B' `[3, h, w]` at `size` from float planes (as `normalise` gives them), not clamped."""
    if layout.family == "gray":
        return resize(planes[0], size).expand(3, *size)
    resized = torch.stack([resize(plane, size) for plane in planes])
    if layout.family == "rgb":
        green, blue, red = resized
        return torch.stack([red, green, blue])
    return torch.einsum("ij,jhw->ihw", rgb_from_ycc(layout).to(resized), resized)


def proxy_size(height: int, width: int, max_side_px: int) -> tuple[int, int]:
    """Size of the small copy on which motion and tone are measured: sides divisible by 8, at most `max_side_px`."""
    shrink = min(1.0, max_side_px / max(height, width))
    return max(8, round(height * shrink / 8) * 8), max(8, round(width * shrink / 8) * 8)


def as_tensors(planes: Sequence[object], layout: PlaneLayout, device: torch.device) -> list[Tensor]:
    """The colour planes (no alpha) of a frame on a device, as float32 code values."""
    colours = planes[: len(planes) - layout.has_alpha]
    return [torch.as_tensor(plane).to(device).float() for plane in colours]


def proxy_of(frame: Frame, layout: PlaneLayout, size: tuple[int, int], device: torch.device) -> Tensor:
    """The small R'G'B' copy `[3, h, w]` in [0, 1] of a frame, on a device."""
    return to_rgb(normalise(as_tensors(frame.planes, layout, device), layout), layout, size).clamp(0, 1)

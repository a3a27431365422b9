"""Pictures for the report and the comparison video: frames, slices in time, maps of where the correction acted."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deflicker.media.web_clip import encode_web_clip
from deflicker.report.gallery import Clip, Gallery, Image

WIDTH_PX = 960
"""Longer side of the frames shown."""
_SLICE_FRAMES = 480
"""Frames in the slice: with more, single frames could not be told apart."""
_CLIP_FRAMES, _CLIP_S = 120, 4.0
"""Most frames and seconds of the clip."""
_DEFAULT_RATE = Fraction(25)
_MUCH_MORE = 1.15
"""How much more a frame must have changed to be shown instead, so that few are drawn."""
_HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float32)
"""Colours from none to most: dark to bright, so that a print in grey reads the same."""
_LEAST_PEAK = 2.0
"""Code values of 255 that the brightest colour stands for at least: rounding should not look like fire."""


def to_array(rgb: Tensor) -> Any:
    """R'G'B' `[3, H, W]` in [0, 1] as numpy `[H, W, 3]` uint8."""
    return (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def heat_colours(change: Tensor, peak: float) -> Any:
    """A map of changes `[H, W]` in code values of 255 as colours `[H, W, 3]` uint8; `peak` gets the brightest."""
    place = (change / peak).clamp(0, 1).cpu().numpy() * (len(_HEAT) - 1)
    lower = np.minimum(place.astype(int), len(_HEAT) - 2)
    part = (place - lower)[..., None]
    return (_HEAT[lower] * (1 - part) + _HEAT[lower + 1] * part).round().astype(np.uint8)


def luma_change(before: Tensor, after: Tensor) -> Tensor:
    """Change of brightness and colour of each place, `[H, W]` in code values of 255: R'G'B' `[3, H, W]` twice."""
    return (after - before).abs().amax(0) * 255


def encode(array: Any) -> Image:
    """An array `[H, W, 3]` uint8 as JPEG."""
    from PIL import Image as Pillow

    file = io.BytesIO()
    Pillow.fromarray(array).save(file, "JPEG", quality=88)
    return Image(file.getvalue(), array.shape[1], array.shape[0])


class GalleryBuilder:
    """Collects what the report shows while frames pass; a bounded number of them is kept."""

    def __init__(self, *, pair: bool) -> None:
        self._pair = pair
        self._columns: list[Tensor] = []
        self._heat: Tensor | None = None
        self._count = 0
        self._most = -1.0
        self._shown: tuple[int, Any, Any] = (0, None, None)
        self._clip: list[Any] = []
        self._times_s: list[float] = []

    def add(
        self, number: int, before: Tensor, after: Tensor, large: Callable[[int], Tensor], *, time_s: float = 0.0
    ) -> None:
        """Take the next frame's small copies `[3, h, w]`; `large(0)` and `large(1)` draw it before and after.

        time_s: when it is shown.
        """
        if self._pair and len(self._clip) < _CLIP_FRAMES and (not self._clip or time_s - self._times_s[0] < _CLIP_S):
            self._clip.append(np.concatenate([to_array(before), to_array(after)], 1))
            self._times_s.append(time_s)
        if len(self._columns) < _SLICE_FRAMES:
            middle = before.shape[-1] // 2
            self._columns.append(torch.stack([before[..., middle], after[..., middle]]).cpu())
        self._count += 1
        score = 0.0
        if after is not before:
            change = luma_change(before, after)
            self._heat = change if self._heat is None else self._heat + change
            score = float(change.mean())
        if score > self._most * _MUCH_MORE and score >= self._most:
            self._most = max(score, 1e-6)
            self._shown = (number, to_array(large(0)), to_array(large(1)) if self._pair else None)

    def build(self) -> Gallery:
        """Everything collected, encoded."""
        number, before, after = self._shown
        slices = torch.stack(self._columns, -1) if self._columns else None
        heat, peak = None, 0.0
        if self._heat is not None:
            mean = self._heat / self._count
            peak = max(_LEAST_PEAK, float(mean.flatten().quantile(0.999)))
            heat = encode(heat_colours(mean, peak))
        return Gallery(
            slice_before=None if slices is None else encode(to_array(slices[0])),
            slice_after=None if slices is None or not self._pair else encode(to_array(slices[1])),
            slice_frames=len(self._columns),
            frame=number,
            frame_before=None if before is None else encode(before),
            frame_after=None if after is None else encode(after),
            heat=heat,
            heat_peak=peak,
            clip=self._build_clip(),
        )

    def _build_clip(self) -> Clip | None:
        """Before and after in one picture, so that they cannot get out of step."""
        if len(self._clip) < 2:
            return None
        length_s = self._times_s[-1] - self._times_s[0]
        rate = Fraction((len(self._clip) - 1) / length_s).limit_denominator(1001) if length_s > 0 else _DEFAULT_RATE
        height, width = (side // 2 * 2 for side in self._clip[0].shape[:2])
        pictures = [picture[:height, :width] for picture in self._clip]
        try:
            return Clip(encode_web_clip(pictures, rate), width, height, len(pictures))
        except (OSError, ValueError):  # an FFmpeg without VP8: the report goes without
            return None

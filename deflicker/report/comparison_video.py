"""The comparison video (`--compare`): before and after in one picture, and beneath them where they differ."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deflicker.core.settings import CompareStyle, Settings
from deflicker.correction.types import FrameRecord
from deflicker.media.clip_writer import ClipWriter
from deflicker.media.color import proxy_of
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.report.gallery_builder import heat_colours, luma_change, to_array
from deflicker.report.observer import Observer

_LONGEST_PX = 960
"""Longer side of one of the two pictures."""
_PEAK = 32.0
"""Change that gets the map's brightest colour, code values of 255; the same in every frame."""
_SWEEP_S = 4.0
"""Time in which the divider goes across and back."""


@contextmanager
def compared(
    path: str | os.PathLike[str] | None, info: VideoInfo, settings: Settings, style: CompareStyle
) -> Iterator[Comparison | None]:
    """A comparison written to `path`, complete when the block ends without an exception; None without a path."""
    if path is None:
        yield None
        return
    rate = info.average_rate or Fraction(25)
    writer = ClipWriter(Path(path), source=info.path, time_base=info.time_base, rate=rate, overwrite=settings.overwrite)
    with writer:
        yield Comparison(writer, info, style)


class Comparison(Observer):
    """Draws what it sees."""

    def __init__(self, writer: ClipWriter, info: VideoInfo, style: CompareStyle) -> None:
        self._writer, self._info, self._style = writer, info, style
        self._size = _pane(info)

    def on_written(self, record: FrameRecord, before: Frame, after: Frame | None) -> None:
        """Draw and encode the next frame."""
        pictures = [self._upright(frame) for frame in ((before,) if after is before else (before, after or before))]
        seconds = float((before.pts * before.time_base) - before.shift)
        self._writer.write(compose(pictures[0], pictures[-1], self._style, seconds), self._ticks(before))

    def _ticks(self, frame: Frame) -> int:
        return round((frame.pts * frame.time_base - frame.shift) / self._info.time_base)

    def _upright(self, frame: Frame) -> Any:
        """The frame as a player shows it, `[H, W, 3]` uint8."""
        quarter = self._info.rotation // 90 % 4
        height, width = self._size if quarter % 2 == 0 else self._size[::-1]
        rgb = proxy_of(frame, self._info.layout, (height, width), torch.device("cpu"))
        return np.ascontiguousarray(np.rot90(to_array(rgb), quarter))


def _pane(info: VideoInfo) -> tuple[int, int]:
    """Height and width of one picture as shown, both even."""
    width, height = float(info.width * (info.sample_aspect_ratio or 1)), float(info.height)
    if info.rotation // 90 % 2:
        width, height = height, width
    shrink = min(1.0, _LONGEST_PX / max(width, height))
    return max(2, round(height * shrink / 2) * 2), max(2, round(width * shrink / 2) * 2)


def compose(before: Any, after: Any, style: CompareStyle, seconds: float) -> Any:
    """One picture of the comparison, `[H', W', 3]` uint8: before and after `[H, W, 3]` uint8 of one size.

    `side`: beside each other. `split`: one picture, after to the right of a divider that moves across. Beneath, where
    and by how much they differ.
    """
    width = before.shape[1]
    if style == "side":
        top = np.concatenate([before, after], 1)
        _stamp(top, "before", 0)
        _stamp(top, "after", width)
    else:
        place = round(width * (0.5 + 0.45 * math.sin(2 * math.pi * seconds / _SWEEP_S)))
        top = after.copy()
        top[:, :place] = before[:, :place]
        top[:, max(0, place - 1) : place + 1] = 255
        _stamp(top, "before", 0)
        _stamp(top, "after", None)
    return np.concatenate([top, _heat_row(before, after, top.shape[1])], 0)


def _heat_row(before: Any, after: Any, width: int) -> Any:
    """The map of changes at half size, in a row as wide as the pictures above, and beside it what it means."""
    tensors = [torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture in (before, after)]
    change = torch.nn.functional.avg_pool2d(luma_change(*tensors)[None, None], 2)[0, 0]
    heat = heat_colours(change, _PEAK)
    row = np.zeros((heat.shape[0] // 2 * 2, width, 3), np.uint8)
    row[:, : heat.shape[1]] = heat[: len(row)]
    _stamp(row, f"change: bright is {_PEAK:g} of 255", heat.shape[1])
    return row


def _stamp(picture: Any, text: str, left: int | None) -> None:
    """Write a label into the upper corner of a picture; None is the right-hand corner."""
    label = _label(text, max(10, picture.shape[0] // 28))
    height, width = min(label.shape[0], picture.shape[0]), min(label.shape[1], picture.shape[1])
    at = picture.shape[1] - width if left is None else left
    width = min(width, picture.shape[1] - at)
    picture[:height, at : at + width] = label[:height, :width]


@lru_cache(maxsize=16)
def _label(text: str, size: int) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 2
    image = Image.new("RGB", (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad), (0, 0, 0))
    ImageDraw.Draw(image).text((pad - left, pad - top), text, fill=(255, 255, 255), font=font)
    return np.asarray(image)

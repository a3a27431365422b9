"""What the user may give to steer by: a guide video, whose motion is used, and a reference picture."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deflicker.core.errors import InputError, SettingsError
from deflicker.core.options import ReadOptions
from deflicker.core.settings import Settings
from deflicker.correction.texture.luma_chroma import luma_of_rgb
from deflicker.correction.types import FrameRecord
from deflicker.media.color import proxy_of
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader


def check_guide(settings: Settings) -> None:
    """Open the guide, so that whatever is wrong with it shows at once. Raises InputError."""
    if settings.guide is not None:
        Reader(settings.guide).close()


def reference_proxy(
    settings: Settings, source: VideoInfo | None, size: tuple[int, int], device: torch.device
) -> Tensor | None:
    """The small copy `[3, h, w]` of the reference the user gave, or None. source: the video its frame number is of.

    Raises InputError where it cannot be read, SettingsError where a frame is asked for and there is no file.
    """
    if settings.reference is None or settings.key_every == 0:
        return None
    if isinstance(settings.reference, Path):
        path, start, info = settings.reference, None, None
    elif source is not None:
        path, start, info = source.path, settings.reference, source
    else:
        raise SettingsError("a stream of frames has no reference frame to look up: give an image")
    with Reader(path, ReadOptions(start=start), info=info) as reader:
        for frame in reader.frames():
            return proxy_of(frame, reader.info.layout, size, device)
    raise InputError(f"{path}: has no such reference frame: give one before its end")


@dataclass(frozen=True, eq=False)
class GuidePicture:
    """What is looked at of a guide's frame."""

    proxy: Tensor
    """`[3, h, w]` R'G'B' in [0, 1], at the size of the video's own proxies."""
    luma: Tensor | None
    """`[H, W]`, 8 bits, at the size at which texture is held; None where it is not."""


def guide_pictures(
    settings: Settings, size: tuple[int, int], device: torch.device, luma_size: tuple[int, int] | None = None
) -> Generator[GuidePicture, None, None]:
    """The frames of the settings' guide. size, luma_size: height and width of the proxies and of luma.

    Raises InputError where it cannot be read.
    """
    if settings.guide is None:
        return
    with Reader(settings.guide, ReadOptions(start=settings.start, end=settings.end)) as reader:
        for frame in reader.frames():
            light = None
            if luma_size is not None:
                rgb = proxy_of(frame, reader.info.layout, luma_size, device)
                light = (luma_of_rgb(rgb[None])[0, 0].clamp(0, 1) * 255).round_().to(torch.uint8)
            yield GuidePicture(proxy_of(frame, reader.info.layout, size, device), light)


class GuideStage:
    """The stage that gives each frame the guide's picture, to find motion in and what has not changed."""

    def __init__(self, path: Path, pictures: Generator[GuidePicture, None, None], frames: range | None = None) -> None:
        """frames: the numbers of those that come, where they are a part of a video; None for all."""
        self._path, self._pictures, self._frames, self._count = path, pictures, frames, 0
        self._guide = islice(pictures, frames.start, None) if frames else pictures

    def push(self, record: FrameRecord) -> Iterator[FrameRecord]:
        """Take the next frame. Raises InputError where the guide has fewer."""
        picture = next(self._guide, None)
        if picture is None:
            raise InputError(
                f"{self._path}: the guide ends after {self._count} frames, before the video: give one of its length"
            )
        self._count += 1
        yield replace(record, motion_proxy=picture.proxy, guide_luma=picture.luma)

    def finish(self) -> Iterator[FrameRecord]:
        """Raises InputError where the guide has more frames than came."""
        if self._frames is None and next(self._guide, None) is not None:
            raise InputError(
                f"{self._path}: the guide continues after the video's {self._count} frames: give one of its length"
            )
        yield from ()

    def state_dict(self) -> dict[str, object]:
        """How far it has come."""
        return {"count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._count = state["count"]
        self._guide = islice(self._pictures, self._count, None)

    def close(self) -> None:
        """Close the guide's file."""
        self._pictures.close()

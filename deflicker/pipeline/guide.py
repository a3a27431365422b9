"""What the user may give to steer by: a guide video, whose motion is used, and a reference picture."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from deflicker.core.errors import InputError, SettingsError
from deflicker.core.settings import Settings
from deflicker.media.color import proxy_of
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.motion.tracking import Given

T = TypeVar("T")


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
        raise SettingsError("frames that come as a stream have no frame to look up: give an image as reference")
    with Reader(path, start=start, info=info) as reader:
        for frame in reader.frames():
            return proxy_of(frame, reader.info.layout, size, device)
    raise InputError(f"{path}: has no such frame to take as reference; give one before its end")


def guide_proxies(
    path: Path, settings: Settings, size: tuple[int, int], device: torch.device
) -> Generator[Tensor, None, None]:
    """The small copies `[3, h, w]` of a guide's frames, at the size of the video's own.

    Raises InputError where it cannot be read.
    """
    with Reader(path, start=settings.start, end=settings.end) as reader:
        for frame in reader.frames():
            yield proxy_of(frame, reader.info.layout, size, device)


def in_step(frames: Iterable[Given[T]], guide: Iterator[Tensor], path: Path) -> Iterator[Given[T]]:
    """Each frame with the guide's proxy to look for motion in. Raises InputError where one has more than the other."""
    count = 0
    for frame in frames:
        seen = next(guide, None)
        if seen is None:
            raise InputError(f"{path}: the guide ends after {count} frames, before the video; give one with as many")
        yield replace(frame, look=seen)
        count += 1
    if next(guide, None) is not None:
        raise InputError(f"{path}: the guide goes on after the video's {count} frames; give one with as many")

"""From frames to their corrections, and what the user may give to steer by: a guide video, a reference picture."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from deflicker.background import prefetch
from deflicker.correction.steady import LumaOf, steady
from deflicker.correction.stream import Corrected, correct
from deflicker.engine import Engine, proxy_of
from deflicker.errors import InputError, SettingsError
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.motion.flashes import find_flashes
from deflicker.motion.track import Given, Tracked, track
from deflicker.settings import Preset, Settings

T = TypeVar("T")
U = TypeVar("U")


class Follower(Protocol[T]):
    """Whoever wants to see what was tracked; see `measuring.Witness`."""

    def follow(self, tracked: Iterator[Tracked[T]]) -> Iterator[Tracked[T]]:
        """Hand it on."""


def decide(
    frames: Iterable[Given[T]],
    luma_of: LumaOf[T],
    engine: Engine,
    settings: Settings,
    *,
    size: tuple[int, int],
    source: VideoInfo | None = None,
    witnesses: Iterable[Follower[T]] = (),
    overlap: bool = False,
) -> Generator[Corrected[T], None, None]:
    """The correction of every frame: tone first, then texture.

    frames: with proxies `[3, h, w]` of `size`; luma_of: see `steady`; source: the video they are from; witnesses see
    what was tracked. overlap: motion, tone and texture run side by side, each on a thread of its own, and `frames` are
    asked for on the first of them; else everything happens in the caller's.

    Raises InputError where guide or reference cannot be used, SettingsError where a reference frame is asked for and
    there is no file to look it up in.
    """
    device = engine.device.torch_device
    reference = _reference(settings, source, size, device)

    with ExitStack() as stack:

        def ahead(stage: Iterator[U], depth: int) -> Iterator[U]:
            return stack.enter_context(closing(prefetch(stage, depth))) if overlap else stage

        if settings.guide is not None:
            guide = stack.enter_context(closing(_guide(settings.guide, settings, size, device)))
            frames = _in_step(frames, guide, settings.guide)
        given = find_flashes(frames) if settings.keep_flashes else frames
        tracked = track(given, engine.flow, batch_frames=BATCH_FRAMES, key_every=settings.key_every, key=reference)
        tracked = ahead(tracked, BATCH_FRAMES)
        for witness in witnesses:
            tracked = witness.follow(tracked)
        toned = ahead(correct(tracked, engine.preset, settings, reference=reference), engine.preset.core_frames)
        reach = texture_reach(engine.preset, settings)
        yield from ahead(steady(toned, luma_of, reach=reach), QUEUED_FRAMES) if reach else toned


def texture_reach(preset: Preset, settings: Settings) -> int:
    """Neighbours that texture is compared with on each side; 0 leaves texture alone."""
    return 0 if "texture" in settings.without else preset.texture_reach


def check_guide(settings: Settings) -> None:
    """Open the guide, so that whatever is wrong with it shows at once. Raises InputError."""
    if settings.guide is not None:
        Reader(settings.guide).close()


def _reference(
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


def _guide(
    path: Path, settings: Settings, size: tuple[int, int], device: torch.device
) -> Generator[Tensor, None, None]:
    """The small copies `[3, h, w]` of a guide's frames, at the size of the video's own.

    Raises InputError where it cannot be read.
    """
    with Reader(path, start=settings.start, end=settings.end) as reader:
        for frame in reader.frames():
            yield proxy_of(frame, reader.info.layout, size, device)


def _in_step(frames: Iterable[Given[T]], guide: Iterator[Tensor], path: Path) -> Iterator[Given[T]]:
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

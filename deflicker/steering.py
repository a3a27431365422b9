"""From frames to their corrections, and what the user may give to steer by: a guide video, a reference picture."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from deflicker.background import prefetch
from deflicker.correction.latent import LatentTexture
from deflicker.correction.picture import ColoursOf, LumaOf
from deflicker.correction.renewal import Renewal
from deflicker.correction.steady import Steadying, steady
from deflicker.correction.stream import Corrected, Toning, correct
from deflicker.device import cores_shared
from deflicker.engine import Engine, proxy_of
from deflicker.errors import InputError, SettingsError
from deflicker.heap import tidied
from deflicker.latent.codec import Codec
from deflicker.marks import Marker, Passage, marked
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.motion.flashes import Watching, find_flashes
from deflicker.motion.track import Given, Tracked, Tracking, track
from deflicker.settings import Preset, Settings

T = TypeVar("T")
U = TypeVar("U")


class Follower(Protocol[T]):
    """Whoever wants to see what was tracked; see `measuring.Witness`."""

    def follow(self, tracked: Iterator[Tracked[T]]) -> Iterator[Tracked[T]]:
        """Hand it on."""


@dataclass
class Following(Generic[T]):
    """How far the first stage has come."""

    frames: int = 0
    """Frames that have come in."""
    flashes: Watching[T] = field(default_factory=Watching)
    track: Tracking[T] = field(default_factory=Tracking)


@dataclass
class Standing(Generic[T]):
    """How far `decide` has come: all that its stages remember, each while it is at rest."""

    motion: Following[T] = field(default_factory=Following)
    tone: Toning[T] = field(default_factory=Toning)
    texture: Steadying[T] = field(default_factory=Steadying)


def decide(
    frames: Iterable[Given[T]],
    luma_of: LumaOf[T],
    engine: Engine,
    settings: Settings,
    *,
    size: tuple[int, int],
    colours_of: ColoursOf[T] | None = None,
    renewal: Renewal | None = None,
    source: VideoInfo | None = None,
    witnesses: Iterable[Follower[T]] = (),
    overlap: bool = False,
    at: Standing[T] | None = None,
    marker: Marker | None = None,
) -> Generator[Corrected[T], None, None]:
    """The correction of every frame: tone first, then texture.

    frames: with proxies `[3, h, w]` of `size`; luma_of, colours_of, renewal: see `steady`; source: the video they
    are from; witnesses see what was tracked. overlap: motion, tone and texture run side by side, each on a thread of
    its own, and `frames` are asked for on the first of them; else everything happens in the caller's. at: where an
    earlier run stopped, to go on there with the frames that had not come in; it is kept up to date. marker: sees each
    stage's part of it at rest, and its marks come out among the frames.

    Raises InputError where guide or reference cannot be used, SettingsError where a reference frame is asked for and
    there is no file to look it up in.
    """
    device = engine.device.torch_device
    reference = _reference(settings, source, size, device)
    stand = at or Standing()

    with ExitStack() as stack:
        if overlap and device.type == "cpu":
            stack.enter_context(cores_shared())

        def ahead(stage: Iterator[U], depth: int) -> Iterator[U]:
            return stack.enter_context(closing(prefetch(stage, depth))) if overlap else stage

        if settings.guide is not None:
            guide = stack.enter_context(closing(guide_proxies(settings.guide, settings, size, device)))
            frames = in_step(frames, islice(guide, stand.motion.frames, None), settings.guide)
        motion, tone, texture = (Passage(marker, stage, memory) for stage, memory in vars(stand).items())
        given: Iterator[Given[T]] = tidied(_counted(frames, stand.motion))
        given = mark_flashes(given, settings, at=stand.motion.flashes)
        given, key_every = motion.into(marked(given, marker, BATCH_FRAMES)), settings.key_every
        tracked = track(
            given, engine.flow, batch_frames=BATCH_FRAMES, key_every=key_every, key=reference, at=stand.motion.track
        )
        tracked = ahead(motion.out_of(tracked), BATCH_FRAMES)
        for witness in witnesses:
            tracked = witness.follow(tracked)
        toned = correct(
            tone.into(tracked), engine.preset, settings, reference=reference, solver=engine.solver, at=stand.tone
        )
        toned = ahead(tone.out_of(toned), engine.preset.core_frames)
        if reach := texture_reach(engine.preset, settings):
            done = steady(
                texture.into(toned),
                luma_of,
                reach=reach,
                colours_of=colours_of,
                locks=locks_texture(settings),
                renewal=renewal,
                ladder=engine.texturing,
                at=stand.texture,
            )
            toned = ahead(texture.out_of(done), QUEUED_FRAMES)
        yield from toned


def _counted(frames: Iterable[Given[T]], at: Following[T]) -> Iterator[Given[T]]:
    for frame in frames:
        at.frames += 1
        yield frame


def mark_flashes(
    frames: Iterable[Given[T]], settings: Settings, *, at: Watching[T] | None = None
) -> Iterator[Given[T]]:
    """`find_flashes`, of the kind that the settings leave as they are."""
    if "flashes" in settings.without:
        return iter(frames)
    return find_flashes(frames, sure=not settings.keep_flashes, at=at)


def texture_reach(preset: Preset, settings: Settings) -> int:
    """Neighbours that texture is compared with on each side; 0 leaves texture alone."""
    return 0 if "texture" in settings.without else preset.texture_reach


def locks_texture(settings: Settings) -> bool:
    """Whether texture that boils with a memory is locked to keys."""
    return "locking" not in settings.without


def renewal_of(codec: Codec | None, settings: Settings) -> Renewal | None:
    """What finds detail in latents, and where it is to; None for pixels alone."""
    if codec is None:
        return None
    # Of a reference that the user gives only a small copy is kept, which has tone but no texture.
    hold = settings.anchor if settings.key_every and settings.reference is None else 0.0
    return Renewal(LatentTexture(codec), settings.texture_space, hold)


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

"""From frames to their corrections, and what the user may give to steer by: a guide video, a reference picture."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from deflicker.core.device import cores_shared
from deflicker.core.malloc import tidied
from deflicker.core.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.core.presets import Preset
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.correction.apply import Correction, colours_of, luma_of
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.latent import LatentTexture
from deflicker.correction.texture.pictures import ColoursOf, LumaOf
from deflicker.correction.texture.space import Renewal
from deflicker.correction.texture.stabilize import Steadying, steady
from deflicker.correction.tone.windows import Toning, correct
from deflicker.correction.types import Corrected
from deflicker.media.color import proxy_size
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.motion.flashes import Watching, find_flashes
from deflicker.motion.tracking import Given, Tracked, Tracking, track
from deflicker.pipeline.barriers import Marker, Passage, marked
from deflicker.pipeline.engine import Engine
from deflicker.pipeline.guide import guide_proxies, in_step, reference_proxy

T = TypeVar("T")
U = TypeVar("U")


class Follower(Protocol[T]):
    """Whoever wants to see what was tracked; see `pipeline.observers.Witness`."""

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
    reference = reference_proxy(settings, source, size, device)
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


class Deciding:
    """How the frames of one video are decided. What it has, it has once: kept progress refers to it by identity."""

    def __init__(self, info: VideoInfo, engine: Engine, settings: Settings) -> None:
        self._info, self._engine, self._settings = info, engine, settings
        layout, side_px, device = info.layout, engine.preset.texture_max_side_px, engine.device.torch_device

        def luma(frame: Frame, correction: Correction | None) -> Tensor:
            return luma_of(frame, layout, correction, side_px, device)

        def colours(frame: Frame, correction: Correction | None) -> Tensor:
            return colours_of(frame, layout, correction, side_px, device)

        self._luma: LumaOf[Frame] = luma
        self._colours: ColoursOf[Frame] = colours
        self._renewal: Renewal | None = renewal_of(engine.codec, settings)

    @property
    def named(self) -> dict[str, object]:
        """Its parts that what is remembered of a run refers to."""
        return {
            **self._engine.named,
            "settings": self._settings,
            "luma": self._luma,
            "colours": self._colours,
            "renewal": self._renewal,
        }

    def decide(self, given: Iterable[Given[Frame]], **how: Any) -> Generator[Corrected[Frame], None, None]:
        """`pipeline.stages.decide`, with threads, of frames with their proxies; `how` is further arguments of it."""
        return decide(
            given,
            self._luma,
            self._engine,
            self._settings,
            size=proxy_size(self._info.height, self._info.width, self._engine.preset.flow_max_side_px),
            colours_of=self._colours,
            renewal=self._renewal,
            source=self._info,
            overlap=True,
            **how,
        )

"""A film in pieces that begin where shots do: found in one cheap pass, and each corrected by itself exactly as in a run
over the whole film. Nothing is carried across a cut, so that is a matter of looking at the same frames."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np
import torch

from deflicker.core.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.core.presets import Preset
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.core.values import TimePoint
from deflicker.correction.types import Corrected
from deflicker.media.color import proxy_size, with_proxies
from deflicker.media.demux import limits_of
from deflicker.media.frame import Frame, frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import take_in
from deflicker.motion.segment import NoFlow, Part
from deflicker.motion.tracking import Given, Tracked, Tracking, track
from deflicker.pipeline.engine import Engine, Networks
from deflicker.pipeline.guide import guide_proxies, in_step
from deflicker.pipeline.stages import Deciding, Following, Standing, mark_flashes

LEAST_FRAMES = 24
"""Shots are joined until a piece has as many: to seek and to decode from a key frame costs something too."""


@dataclass(frozen=True)
class Seen:
    """A frame as it was seen by who looked for the shots."""

    pts: int
    print: int
    """CRC-32 of its planes: whoever reads the frame elsewhere can tell that it is the same."""


@dataclass(frozen=True)
class Piece:
    """One or more shots of a film."""

    part: Part
    frames: tuple[Seen, ...]
    seconds: Fraction
    """From the video's first frame to the piece's."""


class Differs(Exception):
    """A frame is not the one that was seen when shots were looked for."""


def find_pieces(reader: Reader, settings: Settings, preset: Preset, device: torch.device) -> Iterator[Piece]:
    """The pieces of a video, in order, each as soon as it is known where it ends.

    reader: opened with the settings' start, end and exclusions. Raises what reading raises.
    """
    info = reader.info
    waiting: list[Tracked[Seen]] = []
    first = gap = 0
    for frame in track(_given(reader, settings, preset, device), NoFlow(), batch_frames=BATCH_FRAMES):
        # A shot that begins with frames that are kept as they are has no picture to begin a piece with.
        if frame.opens_shot and frame.kept is None and len(waiting) >= LEAST_FRAMES:
            yield _piece(waiting, first, gap, info)
            first += len(waiting)
            gap = _kept_at_the_end(waiting)
            waiting = []
        waiting.append(Tracked(frame.item, frame.proxy[:0], frame.opens_shot, frame.held, None, None, kept=frame.kept))
    if waiting:
        yield _piece(waiting, first, gap, info)


def decide_piece(
    source: Path,
    piece: Piece,
    settings: Settings,
    networks: Networks | None = None,
    *,
    through: bool,
    cancel: Event | None = None,
) -> Iterator[Corrected[Frame]]:
    """The correction of every frame of a piece of `source`, as a run over the whole film finds it.

    through: decode all that comes before it, instead of jumping to it. Once `cancel` is set, the next frame raises
    Cancelled. Raises Differs where other frames are found there: the jump led astray, or the file is another by now.
    """
    bounds = limits_of(settings)
    through = through or piece.part.first == 0
    start = settings.start if through else TimePoint(seconds=piece.seconds)
    end = settings.end if through else None
    with (
        take_in(source, settings, limits=bounds) as intake,
        Reader.of(
            intake.info, replace(settings, start=start, end=end, exclude=()), limits=bounds, cancel=cancel
        ) as reader,
    ):
        info = reader.info
        bulk = frame_bytes(info.width, info.height, info.layout)
        engine = Engine.load(info.width, info.height, bulk, settings, lambda _: None, networks)
        device = engine.device.torch_device
        preset = engine.preset
        stand: Standing[Frame] = Standing(Following(track=Tracking.of(piece.part)))
        size = proxy_size(info.height, info.width, preset.flow_max_side_px)
        with ExitStack() as stack:
            frames = stack.enter_context(closing(prefetch(reader.frames(), QUEUED_FRAMES)))
            skipped = piece.part.first if through else 0
            ours = _checked(islice(frames, skipped, skipped + len(piece.part)), piece)
            given: Iterable[Given[Frame]] = (
                Given(frame, proxy, proxy, kept)
                for (frame, proxy), kept in zip(
                    with_proxies(ours, info.layout, preset, device), piece.part.kept, strict=True
                )
            )
            if settings.guide is not None:
                guide = stack.enter_context(closing(guide_proxies(settings.guide, settings, size, device)))
                along = islice(guide, piece.part.first, piece.part.first + len(piece.part))
                given = in_step(given, along, settings.guide)
            # What the guide is for is done, and flashes are marked.
            rest = replace(settings, guide=None, without=settings.without | {"flashes"})
            decided = Deciding(info, engine, rest).decide(given, at=stand)
            yield from stack.enter_context(closing(decided))


def fingerprint(frame: Frame) -> Seen:
    """What a frame is known by."""
    found = 0
    for plane in frame.planes:
        found = zlib.crc32(np.ascontiguousarray(plane).data, found)
    return Seen(frame.pts, found)


def _checked(frames: Iterable[Frame], piece: Piece) -> Iterator[Frame]:
    count = 0
    for frame, seen in zip(frames, piece.frames, strict=False):
        if fingerprint(frame) != seen:
            raise Differs
        count += 1
        yield frame
    if count < len(piece.frames):
        raise Differs


def _given(reader: Reader, settings: Settings, preset: Preset, device: torch.device) -> Iterator[Given[Seen]]:
    """Every frame, marked where the user excludes it or it is a flash, with the guide's proxy where there is one."""
    info = reader.info
    with closing(prefetch(reader.frames(), QUEUED_FRAMES)) as decoded:
        frames: Iterable[Given[Seen]] = (
            Given(fingerprint(frame), proxy, proxy, "excluded" if frame.as_is else None)
            for frame, proxy in with_proxies(decoded, info.layout, preset, device)
        )
        if settings.guide is None:
            yield from mark_flashes(frames, settings)
            return
        size = proxy_size(info.height, info.width, preset.flow_max_side_px)
        with closing(guide_proxies(settings.guide, settings, size, device)) as guide:
            frames = in_step(frames, guide, settings.guide)
            yield from mark_flashes(frames, settings)


def _piece(frames: list[Tracked[Seen]], first: int, gap: int, info: VideoInfo) -> Piece:
    part = Part(
        first,
        tuple(frame.opens_shot for frame in frames),
        tuple(frame.held for frame in frames),
        tuple(frame.kept for frame in frames),
        gap,
    )
    seconds = (frames[0].item.pts - info.first_pts) * info.time_base
    return Piece(part, tuple(frame.item for frame in frames), seconds)


def _kept_at_the_end(frames: list[Tracked[Seen]]) -> int:
    count = 0
    for frame in reversed(frames):
        if frame.kept is None:
            break
        count += 1
    return count

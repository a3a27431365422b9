"""The stages in their order, and the one place that knows how they run: side by side, or in the caller's thread."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from deflicker.core.device import cores_shared
from deflicker.core.malloc import trim_periodically
from deflicker.core.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.correction.hold.hold_stage import HoldPlan, HoldStage
from deflicker.correction.hold.holding import HoldOptions
from deflicker.correction.sharpness.sharpness_stage import SharpnessStage
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.latent import LatentTexture
from deflicker.correction.texture.pictures import Sight
from deflicker.correction.texture.space import Renewal
from deflicker.correction.texture.stabilize import TextureStage
from deflicker.correction.tone.overlays import OverlayStage
from deflicker.correction.tone.windows import ToneStage
from deflicker.correction.types import FrameRecord
from deflicker.media.probe import VideoInfo
from deflicker.motion.flashes import FlashStage
from deflicker.motion.segment import SegmentShots
from deflicker.motion.tracking import ShotTracker
from deflicker.pipeline.guide import GuidePicture, GuideStage, guide_pictures, reference_proxy
from deflicker.pipeline.run_context import Run
from deflicker.pipeline.source_pictures import SourcePicture


class Stage(Protocol):
    """A step on a frame's way. Between two calls it is at rest: `state_dict` then has all that it remembers.

    What `push` and `finish` return must be taken to its end before the next call.
    """

    def push(self, record: FrameRecord, /) -> Iterable[FrameRecord]:
        """Take the next frame; the frames that are ready by now, in order."""

    def finish(self) -> Iterable[FrameRecord]:
        """The frames that are left."""

    def state_dict(self) -> dict[str, object]:
        """Plain values, tensors, records and other classes marked `core.blocks.stored`."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on where `state_dict` was taken, before the first `push`."""


@dataclass(frozen=True, eq=False)
class Step:
    """A stage in its place."""

    name: str
    stage: Stage
    ahead: int = 0
    """Frames that it may be ahead of what follows, on a thread of its own; 0: it shares the thread of the next one."""


class TimedStage:
    """A stage whose work is timed."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self.seconds = stage, 0.0

    def push(self, record: FrameRecord) -> list[FrameRecord]:
        """As the stage's own."""
        return self._timed(lambda: self._stage.push(record))

    def finish(self) -> list[FrameRecord]:
        """As the stage's own."""
        return self._timed(self._stage.finish)

    def state_dict(self) -> dict[str, object]:
        """As the stage's own."""
        return self._stage.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As the stage's own."""
        self._stage.load_state_dict(state)

    def _timed(self, work: Callable[[], Iterable[FrameRecord]]) -> list[FrameRecord]:
        started = time.monotonic()
        found = list(work())
        self.seconds += time.monotonic() - started
        return found


@dataclass(frozen=True)
class Barrier:
    """Passes through the stages between two frames, so that each is seen at rest at the same place of the video."""

    number: int


class BarrierListener(Protocol):
    """Who wants to see the stages at rest."""

    def next_barrier(self, frames_in: int) -> Barrier | None:
        """A barrier to send after so many frames, or None. Called on the first stage's thread."""

    def save_stage(self, barrier: Barrier, name: str, stage: Stage) -> None:
        """A stage has taken in every frame before the barrier and none after it. Called on the stage's thread."""


def build_steps(run: Run, info: VideoInfo | None = None, segment: SegmentShots | None = None) -> list[Step]:
    """The stages of a run.

    info: the file that the frames are from, where there is one. segment: what is known of the frames where they are a
    part of a film. Raises InputError where the reference cannot be used, SettingsError where a frame is to be the
    reference and there is no file to look it up in.
    """
    settings, preset, device = run.settings, run.preset, run.device.torch_device
    reference = reference_proxy(settings, info, run.proxy_size, device)
    luma_size = None if preset.holds == "never" else run.texture_size
    steps = _marking_steps(settings, segment, guide=guide_pictures(settings, run.proxy_size, device, luma_size))
    if not run.flashes:
        steps = [step for step in steps if step.name != "flashes"]
    tracker = ShotTracker[FrameRecord](
        run.flow, batch_frames=BATCH_FRAMES, key_every=settings.key_every, key=reference, segment=segment
    )
    tone = ToneStage(run.tone, reference=reference, solver=run.solver)
    overlays = OverlayStage(run.overlay_size, device)
    steps += [Step("motion", tracker, BATCH_FRAMES), Step("tone", tone), Step("overlays", overlays, preset.core_frames)]
    if preset.texture_reach and run.sharpness:
        steps.append(Step("sharpness", SharpnessStage(run.texture_size, device, run.sharpening)))
    if preset.holds != "never":
        plan = HoldPlan(run.texture_size, device, preset.holds == "always", HoldOptions(settings.hold))
        steps.append(Step("hold", HoldStage(plan, run.holding), QUEUED_FRAMES))
    if preset.texture_reach:
        texture = TextureStage(
            Sight(run.texture_size, device, preset.texture_reach),
            locks=run.locking,
            renewal=_renewal(run.codec, settings),
            fallback=run.texturing,
        )
        steps.append(Step("texture", texture, QUEUED_FRAMES))
    return steps


def _marking_steps(
    settings: Settings,
    segment: SegmentShots | None = None,
    *,
    guide: Generator[GuidePicture, None, None],
) -> list[Step]:
    """The stages before motion. Of a segment it is known what is skipped. guide: the pictures of the settings'."""
    steps = []
    if settings.guide is not None:
        frames = range(segment.first, segment.first + len(segment)) if segment else None
        steps.append(Step("guide", GuideStage(settings.guide, guide, frames)))
    if segment is None:
        steps.append(Step("flashes", FlashStage[FrameRecord](sure=not settings.keep_flashes)))
    return steps


def _renewal(codec: Codec | None, settings: Settings) -> Renewal | None:
    """What finds detail in latents, and where it is to; None for pixels alone."""
    if codec is None:
        return None
    # Of a reference that the user gives only a small copy is kept, which has tone but no texture.
    hold = settings.anchor if settings.key_every and settings.reference is None else 0.0
    return Renewal(LatentTexture(codec), settings.texture_space, hold)


def local_corrections(
    pictures: Iterable[SourcePicture], run: Run, info: VideoInfo | None = None, *, threads: bool = True
) -> Generator[FrameRecord, None, None]:
    """The correction of every frame, found by this process.

    info: as `build_steps` takes it. threads: motion, tone and texture run side by side, and the pictures are asked for
    on the first of their threads. Raises what `build_steps` raises, and InputError where the guide does not fit.
    """
    device = run.device.torch_device
    with closing(
        run_stages(records(pictures, run.proxy_size, device), build_steps(run, info), device, threads=threads)
    ) as found:
        yield from (each for each in found if isinstance(each, FrameRecord))


def scan_shots(
    pictures: Iterable[SourcePicture], settings: Settings, size: tuple[int, int], device: torch.device
) -> Generator[FrameRecord, None, None]:
    """Every frame with its place among the shots, but no motion. size: of proxies, height and width."""
    tracker = ShotTracker[FrameRecord](None, batch_frames=BATCH_FRAMES)
    steps = [*_marking_steps(settings, guide=guide_pictures(settings, size, device)), Step("motion", tracker)]
    with closing(run_stages(records(pictures, size, device), steps, device, threads=False)) as found:
        yield from (each for each in found if isinstance(each, FrameRecord))


def records(pictures: Iterable[SourcePicture], size: tuple[int, int], device: torch.device) -> Iterator[FrameRecord]:
    """A record of each frame, with its proxy, as it goes into the first stage."""
    for picture in pictures:
        yield record_of(picture, size, device)


def record_of(picture: SourcePicture, size: tuple[int, int], device: torch.device) -> FrameRecord:
    """A frame's record with its proxy. size: of the proxy, height and width."""
    proxy = picture.rgb(size, device).clamp(0, 1)
    return FrameRecord(picture=picture, proxy=proxy, skip="excluded" if picture.excluded else None)


def run_stages(
    frames: Iterable[FrameRecord],
    steps: Sequence[Step],
    device: torch.device,
    *,
    threads: bool,
    listener: BarrierListener | None = None,
) -> Generator[FrameRecord | Barrier, None, None]:
    """Every frame once, in order, as it comes out of the last stage; the listener's barriers between them.

    device: what computes. threads: as `local_corrections` takes it.
    """
    with ExitStack() as stack:
        for each in (step.stage for step in steps):
            if isinstance(each, GuideStage):
                stack.callback(each.close)
        if threads and device.type == "cpu":
            stack.enter_context(cores_shared())
        items: Iterator[FrameRecord | Barrier] = trim_periodically(_with_barriers(frames, listener))
        for step in steps:
            items = _through(step, items, listener)
            if threads and step.ahead:
                items = stack.enter_context(closing(prefetch(items, step.ahead)))
        yield from items


def _with_barriers(frames: Iterable[FrameRecord], listener: BarrierListener | None) -> Iterator[FrameRecord | Barrier]:
    """Barriers between batches, each before the next frame is asked for."""
    source = iter(frames)
    for count in itertools.count():
        if count % BATCH_FRAMES == 0 and listener is not None and (barrier := listener.next_barrier(count)):
            yield barrier
        if (frame := next(source, None)) is None:
            return
        yield frame


def _through(
    step: Step, items: Iterable[FrameRecord | Barrier], listener: BarrierListener | None
) -> Iterator[FrameRecord | Barrier]:
    for item in items:
        if isinstance(item, FrameRecord):
            yield from step.stage.push(item)
            continue
        if listener is not None:
            listener.save_stage(item, step.name, step.stage)
        yield item
    yield from step.stage.finish()

"""Videos measured as they are: one by itself, or two that show the same, side by side."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing

import numpy as np

from deflicker.core.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.media.color import with_proxies
from deflicker.media.demux import limits_of
from deflicker.media.frame import Frame, frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import Intake, Source, take_in
from deflicker.motion.tracking import track
from deflicker.pipeline.engine import Engine
from deflicker.pipeline.observers import Watch, load_lpips
from deflicker.report.model import Measurement


def measure(
    source: Source,
    other: Source | None = None,
    settings: Settings = Settings(),
    *,
    lpips: bool = True,
    on_progress: OnProgress | None = None,
) -> Measurement:
    """Measure the coherence of one video, or of two that show the same: before and after, or reference and test.

    Motion is measured on `source` and used for both. Memory does not grow with the length but for a few numbers a
    frame. `lpips`: also what needs LPIPS, if its weights can be had. Raises InputError, SettingsError, WeightsError
    (the flow network's) or DeviceError.
    """
    started, tell = time.monotonic(), on_progress or (lambda _: None)
    with ExitStack() as stack:
        intakes = [stack.enter_context(take_in(each, settings)) for each in (source, other) if each is not None]
        first, second = (*(stack.enter_context(_reader(each, settings)) for each in intakes), None)[:2]
        assert first is not None
        info = first.info
        size = frame_bytes(info.width, info.height, info.layout)
        engine = Engine.load(info.width, info.height, size, settings, tell)
        perceptual, no_lpips = load_lpips(settings, engine.device.torch_device, wanted=lpips)
        watch = Watch(
            engine,
            info.layout,
            pair=second is not None,
            perceptual=perceptual,
            no_lpips=no_lpips,
            after_layout=second.info.layout if second else None,
        )
        frames, notes = _pass(first, second, engine, watch, tell)
        return Measurement(
            source=intakes[0].name,
            other=intakes[1].name if second else None,
            frames=frames,
            duration_s=info.duration_s or 0.0,
            elapsed_s=time.monotonic() - started,
            device=str(engine.device.torch_device),
            device_reason=engine.device.reason,
            measures=watch.finish(),
            notes=(*first.remarks, *(second.remarks if second else ()), *notes),
            settings=tuple(pair for pair in settings.words if pair[0] in _RELEVANT),
            gallery=watch.album.gallery(),
        )


def _reader(intake: Intake, settings: Settings) -> Reader:
    return Reader(
        intake.info.path, start=settings.start, end=settings.end, info=intake.info, limits=limits_of(settings)
    )


_RELEVANT = ("preset", "device", "precision", "start", "end")


def _pass(
    first: Reader, second: Reader | None, engine: Engine, watch: Watch, tell: OnProgress
) -> tuple[int, list[str]]:
    """Show the watch every frame; how many there were, and what to say about them."""
    count = 0
    with (
        closing(prefetch(first.frames(), QUEUED_FRAMES)) as frames,
        closing(prefetch(second.frames() if second else (), QUEUED_FRAMES)) as others,
    ):
        proxies = with_proxies(frames, first.info.layout, engine.preset, engine.device.torch_device)
        for tracked in watch.follow(track(proxies, engine.flow, batch_frames=BATCH_FRAMES)):
            after = next(others, None)
            if second is not None and after is None:
                return count, [f"the second video ends after {count} frames: only these were measured"]
            watch.see(tracked.item, _same_object(tracked.item, after, first.info, second.info if second else None))
            count += 1
            tell(Progress("frames", count, first.info.frame_count_hint))
        longer = second is not None and next(others, None) is not None
    return count, [f"the second video is longer: only its first {count} frames were measured"] if longer else []


def _same_object(before: Frame, after: Frame | None, info: VideoInfo, other: VideoInfo | None) -> Frame | None:
    """The first frame itself where the second holds the same samples, which saves measuring them again."""
    if after is None or other is None or info.layout != other.layout or len(before.planes) != len(after.planes):
        return after
    return before if all(map(np.array_equal, before.planes, after.planes)) else after

"""Videos measured as they are: one by itself, or two that show the same, side by side."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing

import numpy as np

from deflicker.core.memory import BATCH_FRAMES, QUEUED_FRAMES
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import Source, open_source
from deflicker.motion.tracking import ShotTracker
from deflicker.pipeline.observers import measure_observer
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import Step, records, run_stages
from deflicker.report.model import Measurement
from deflicker.report.observer import Observer


def measure(
    source: Source,
    other: Source | None = None,
    settings: Settings = Settings(),
    *,
    lpips: bool = True,
    on_progress: OnProgress | None = None,
    models: Models | None = None,
) -> Measurement:
    """Measure the coherence of one video, or of two that show the same: before and after, or reference and test.

    Motion is measured on `source` and used for both. Memory does not grow with the length but for a few numbers a
    frame. `lpips`: also what needs LPIPS, if its weights are available.
    `models`: networks loaded before, to be used again. Raises InputError, SettingsError, WeightsError
    (the flow network's) or DeviceError.
    """
    started, tell = time.monotonic(), on_progress or (lambda _: None)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(open_source(each, settings.input())) for each in (source, other) if each is not None
        ]
        readers = [Reader(each.info.path, settings.input(), info=each.info) for each in opened]
        for reader in readers:
            stack.enter_context(reader)
        first, second = readers[0], readers[1] if len(readers) > 1 else None
        info = first.info
        run = Run.prepare(VideoSize.of(info), settings, models, tell)
        watch = measure_observer(run, *(each.info.layout for each in (first, second) if each), lpips=lpips)
        frames, notes = _pass(first, second, run, watch, tell)
        return Measurement(
            source=opened[0].name,
            other=opened[1].name if second else None,
            frames=frames,
            duration_s=info.duration_s or 0.0,
            elapsed_s=time.monotonic() - started,
            device=str(run.device.torch_device),
            device_reason=run.device.reason,
            measures=watch.measures(run.preset),
            notes=(*first.remarks, *(second.remarks if second else ()), *notes),
            settings=tuple(pair for pair in settings.words if pair[0] in _RELEVANT),
            gallery=watch.gallery.build(),
        )


_RELEVANT = ("preset", "device", "precision", "start", "end")


def _pass(
    first: Reader, second: Reader | None, run: Run, observer: Observer, on_progress: OnProgress
) -> tuple[int, list[str]]:
    """Show the observer every frame; how many there were, and what to say about them."""
    count, other, device = 0, second.info if second else None, run.device.torch_device
    tracker = Step("motion", ShotTracker[FrameRecord](run.flow, batch_frames=BATCH_FRAMES))
    with (
        closing(prefetch(first.frames(), QUEUED_FRAMES)) as frames,
        closing(prefetch(second.frames() if second else (), QUEUED_FRAMES)) as others,
    ):
        pictures = (DecodedPicture.of(frame, first.info.layout) for frame in frames)
        for record in run_stages(records(pictures, run.proxy_size, device), [tracker], device, threads=False):
            after = next(others, None)
            if second is not None and after is None:
                return count, [f"the second video ends after {count} frames: only these were measured"]
            assert isinstance(record, FrameRecord)
            assert isinstance(record.picture, DecodedPicture)
            frame = record.picture.frame
            observer.on_written(record, frame, _same_object(frame, after, first.info, other))
            count += 1
            on_progress(Progress("frames", count, first.info.frame_count_hint))
        longer = second is not None and next(others, None) is not None
    return count, [f"the second video is longer: only its first {count} frames were measured"] if longer else []


def _same_object(before: Frame, after: Frame | None, info: VideoInfo, other: VideoInfo | None) -> Frame | None:
    """The first frame itself where the second holds the same samples, which saves measuring them again."""
    if after is None or other is None or info.layout != other.layout or len(before.planes) != len(after.planes):
        return after
    return before if all(map(np.array_equal, before.planes, after.planes)) else after

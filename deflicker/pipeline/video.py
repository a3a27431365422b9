"""The whole job: open → stages → apply → write → report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Protocol

import torch

from deflicker.core.errors import Cancelled
from deflicker.core.memory import QUEUED_FRAMES
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import CompareStyle, Settings
from deflicker.core.threads import Background, prefetch
from deflicker.correction.types import FrameRecord
from deflicker.media.destination import Destination, name_of
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Packet, Reader
from deflicker.media.remux import Remuxed, remux
from deflicker.media.source import Source, open_source
from deflicker.media.writer import Writer
from deflicker.pipeline.checkpoint.open import check_resume, open_checkpoint
from deflicker.pipeline.checkpoint.runner import CHECKPOINT_S, Checkpointer
from deflicker.pipeline.frames import deflicker_frames
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.observers import OnWindow, ProgressReporter, WindowReporter, measure_observer
from deflicker.pipeline.plan import plan
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.run_stats import RunStats
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import local_corrections
from deflicker.pipeline.store.fingerprint import device_name, run_fingerprint
from deflicker.report.comparison_video import compared
from deflicker.report.model import Report
from deflicker.report.observer import Observer

__all__ = ["deflicker", "deflicker_frames", "plan"]


class Corrections(Protocol):
    """Every frame's record with its correction, in order: found here, with checkpoints or without, or elsewhere."""

    def __call__(
        self, frames: Iterator[Frame], info: VideoInfo, on_progress: OnProgress
    ) -> Generator[FrameRecord, None, None]:
        """info: of the video that the frames are from. on_progress: called while it waits for others."""


Decided = Callable[[Iterator[Frame]], Generator[FrameRecord, None, None]]
"""The same for one video's frames."""


def deflicker(
    source: Source,
    target: Destination,
    settings: Settings = Settings(),
    *,
    measure: bool = False,
    lpips: bool = True,
    compare: str | os.PathLike[str] | None = None,
    compare_style: CompareStyle = "side",
    on_progress: OnProgress | None = None,
    on_window: OnWindow | None = None,
    cancel: Event | None = None,
    models: Models | None = None,
    corrections: Corrections | None = None,
    checkpoint_s: float = CHECKPOINT_S,
) -> Report:
    """Take the flicker out of the video `source` and write it to `target`.

    Either may be a binary stream, such as a pipe, instead of a file's name: what comes in is stored in a file first,
    what goes out is passed on as soon as it is certain that it will not be a copy of the source's packets.

    `measure` fills the report's `measures` with every metric before and after (docs/metrics.md), `lpips` those that
    need LPIPS too. `compare` is a further video to write that shows before and after.

    `on_progress` is called often, and `on_window` with what each window of frames came to, both from this thread; an
    exception in them stops the run, and so does `cancel`, once it is set (by any thread): the run then raises
    Cancelled. `models`: networks loaded before, to be used again; `Deflicker` sees to that. `corrections`: finds them
    in place of this process (`distributed.scheduler`). `checkpoint_s`: how often a run with `settings.resume` keeps its
    progress. Whatever ends the run early, nothing is left at `target` that
    was not there before.

    Raises a DeflickerError: InputError, OutputError, SettingsError, WeightsError or DeviceError.
    """
    started = time.monotonic()
    tell = _unless(cancel, on_progress or (lambda _: None))
    check_resume(source, target, settings, measure=measure)
    with ExitStack() as stack:
        # Open: whatever is wrong with the files shows before anything is fetched or loaded.
        opened = stack.enter_context(open_source(source, settings.input(), target=target))
        reader = stack.enter_context(Reader(opened.info.path, settings.input(), info=opened.info, cancel=cancel))
        info = reader.info
        check_guide(settings)
        Writer.try_out(target, info, settings.encoding())
        checkpointer = (
            stack.enter_context(open_checkpoint(target, settings, checkpoint_s)) if corrections is None else None
        )

        # Stages: those of this process, or whoever finds the corrections in its place.
        run: Run | None = None
        if settings.strength > 0 and (corrections is None or measure):
            run = Run.prepare(VideoSize.of(info), settings, models, tell)
        if run is not None and corrections is None:
            corrections = _corrections_of(run, info, checkpointer)

        # Observers.
        stats = RunStats()
        watch = measure_observer(run, info.layout, info.layout, lpips=lpips) if run and measure else None
        comparison = stack.enter_context(compared(compare, info, settings, compare_style))
        windows = WindowReporter(on_window) if on_window else None
        observers = [stats, ProgressReporter(tell, info.frame_count_hint), windows, watch, comparison]

        # Apply and write: frames with their corrections, or the source's packets where there is nothing to do.
        copy = None if corrections or comparison else remux(info, target, settings.encoding())
        stats = RunStats(copy.frames) if copy else stats
        decided = partial(corrections or _uncorrected, info=info, on_progress=tell)
        output = copy or _write(reader, target, settings, decided, [each for each in observers if each])

        # Report.
        report = stats.report(reader, settings, run, output)
        notes = (*report.notes, *(checkpointer.notes if checkpointer else ()))
        report = replace(report, source=opened.name, target=name_of(target), notes=notes)
        if run is not None and watch is not None:
            report = replace(report, measures=watch.measures(run.preset), gallery=watch.gallery.build())
        return replace(report, elapsed_s=time.monotonic() - started)


def _unless(cancel: Event | None, tell: OnProgress) -> OnProgress:
    """Tell progress, unless the run is to stop."""
    if cancel is None:
        return tell

    def tell_or_stop(step: Progress) -> None:
        if cancel.is_set():
            raise Cancelled("stopped on request")
        tell(step)

    return tell_or_stop


def _corrections_of(run: Run, info: VideoInfo, checkpointer: Checkpointer | None) -> Corrections:
    """Those that this process finds; it goes on where an interrupted run stopped, if its progress is kept."""
    if checkpointer is not None:
        checkpointer.load(run_fingerprint(info.path, run.settings, run.preset, device_name(run.device)))

    def found_here(
        frames: Iterator[Frame], info: VideoInfo, on_progress: OnProgress
    ) -> Generator[FrameRecord, None, None]:
        pictures = (DecodedPicture.of(frame, info.layout, run.applying) for frame in frames)
        return checkpointer.corrections(pictures, run, info) if checkpointer else local_corrections(pictures, run, info)

    return found_here


def _uncorrected(
    frames: Iterator[Frame], info: VideoInfo, on_progress: OnProgress
) -> Generator[FrameRecord, None, None]:
    """No frame is corrected."""
    for frame in frames:
        yield FrameRecord(picture=DecodedPicture.of(frame, info.layout), proxy=torch.empty(3, 0, 0))


def _write(
    reader: Reader, target: Destination, settings: Settings, corrections: Decided, observers: Sequence[Observer]
) -> Writer | Remuxed:
    """Write the target: encoded frames, or the source's own packets where no frame was changed."""
    writer = Writer(target, reader.info, settings.encoding())
    try:
        changed = _apply(reader, writer, corrections, observers, settings.strength)
        copy = None if changed else remux(reader.info, target, settings.encoding())
        if copy is None:
            if not changed:
                writer.note_failed_copy()
            writer.close()
    except BaseException:
        writer.discard()
        raise
    if copy:
        writer.discard()
    return copy or writer


def _apply(
    reader: Reader, writer: Writer, corrections: Decided, observers: Sequence[Observer], strength: float
) -> bool:
    """Frames from reader to writer, each with its correction; whether any was changed. The writer is left open."""
    changed = False

    def put_out(job: FrameRecord | Packet) -> None:
        nonlocal changed
        if not isinstance(job, FrameRecord):
            writer.copy(job)
            return
        picture = job.picture
        assert isinstance(picture, DecodedPicture)
        frame = picture.corrected(job.correction and job.correction.scaled(strength))
        if frame is not picture.frame:
            changed = True
            writer.confirm()
        writer.write(frame)
        for observer in observers:
            observer.on_written(job, picture.frame, frame)

    with (
        Background(put_out, QUEUED_FRAMES) as output,
        closing(prefetch(reader.frames(on_packet=output.put), QUEUED_FRAMES)) as frames,
        closing(corrections(frames)) as decided,
    ):
        for record in decided:
            output.put(record)
            for observer in observers:
                observer.on_decided(record)
    for observer in observers:
        observer.on_end()
    return changed

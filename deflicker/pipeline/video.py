"""The stages wired together: decode → proxies → motion and shots → correction → planes → encode."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from deflicker.core.device import Device
from deflicker.core.errors import Cancelled
from deflicker.core.memory import QUEUED_FRAMES
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import CompareStyle, Settings
from deflicker.core.threads import Background, prefetch
from deflicker.correction.apply import Correction, relit
from deflicker.correction.types import Corrected
from deflicker.media.color import with_proxies
from deflicker.media.demux import limits_of
from deflicker.media.destination import Destination, name_of
from deflicker.media.frame import Frame, frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.remux import Remuxed, remux
from deflicker.media.source import Intake, Source, take_in
from deflicker.media.writer import Writer
from deflicker.metrics.flicker import FlickerSums
from deflicker.motion.tracking import Given
from deflicker.pipeline.checkpoint.fingerprint import circumstances
from deflicker.pipeline.checkpoint.open import check_resume, kept_progress
from deflicker.pipeline.checkpoint.runner import Keeping
from deflicker.pipeline.engine import Engine, Networks
from deflicker.pipeline.frames import deflicker_frames
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.observers import Witness, watch_run
from deflicker.pipeline.plan import plan
from deflicker.pipeline.stages import Deciding
from deflicker.pipeline.window_reports import OnWindow, watched
from deflicker.report.comparison_video import compared
from deflicker.report.frame_notes import KeptFrames, TextureShots
from deflicker.report.model import Flicker, Report

__all__ = ["deflicker", "deflicker_frames", "plan"]

Decider = Callable[[Iterator[Frame], VideoInfo, Sequence[Witness], OnProgress], Generator[Corrected[Frame], None, None]]
"""Every frame with its correction, in order; see `scheduler.Film`."""


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
    networks: Networks | None = None,
    decider: Decider | None = None,
) -> Report:
    """Take the flicker out of the video `source` and write it to `target`.

    Either may be a binary stream, such as a pipe, instead of a file's name: what comes in is stored in a file first,
    what goes out is passed on as soon as it is certain that it will not be a copy of the source's packets.

    `measure` fills the report's `measures` with every metric before and after (docs/metrics.md), `lpips` those that
    need LPIPS too. `compare` is a further video to write that shows before and after.

    `on_progress` is called often, and `on_window` with what each window of frames came to, both from this thread; an
    exception in them stops the run, and so does `cancel`, once it is set (by any thread): the run then raises
    Cancelled. `networks`: loaded before and to be used again; `Deflicker` sees to that. `decider`: finds the
    corrections in place of this process (`scheduler.Film`). Whatever ends the run early, nothing is left at `target`
    that was not there before.

    Raises a DeflickerError: InputError, OutputError, SettingsError, WeightsError or DeviceError.
    """
    started = time.monotonic()
    tell = on_progress or (lambda _: None)
    bounds = limits_of(settings)
    check_resume(source, target, settings, measure=measure)
    with (
        take_in(source, settings, target=target, limits=bounds) as intake,
        Reader.of(intake.info, settings, limits=bounds, cancel=cancel) as reader,
        ExitStack() as stack,
    ):
        info = reader.info
        check_guide(settings)
        # Whatever is wrong with the target shows before anything is fetched or loaded.
        Writer(target, info, settings, trial=True).discard()
        keep = stack.enter_context(kept_progress(target, settings))
        engine = None
        if settings.strength > 0 and (decider is None or measure):
            size = frame_bytes(info.width, info.height, info.layout)
            engine = Engine.load(info.width, info.height, size, settings, tell, networks)
            if keep is not None:
                keep.look(circumstances(info.path, settings, engine))
        watch = watch_run(engine, info.layout, settings, lpips=lpips) if engine and measure else None
        with compared(compare, info, settings, compare_style) as comparison:
            witnesses = tuple(each for each in (watch, comparison) if each is not None)
            tell = _unless(cancel, tell)
            tally, output = _process(reader, target, engine, settings, tell, witnesses, on_window, keep, decider)
        elapsed_s = time.monotonic() - started
        report = _report(intake, name_of(target), reader, engine.device if engine else None, tally, output, elapsed_s)
        notes = (*report.notes, *_missed(report, settings), *(keep.notes if keep else ()))
        report = replace(report, settings=settings.words, notes=notes)
        return replace(report, measures=watch.finish(), gallery=watch.album.gallery()) if watch else report


def _unless(cancel: Event | None, tell: OnProgress) -> OnProgress:
    """Tell progress, unless the run is to stop. The first word of it comes with the first frame."""
    if cancel is None:
        return tell

    def tell_or_stop(step: Progress) -> None:
        if cancel.is_set():
            raise Cancelled("stopped, as asked")
        tell(step)

    return tell_or_stop


def _process(
    reader: Reader,
    target: Destination,
    engine: Engine | None,
    settings: Settings,
    tell: OnProgress,
    witnesses: Sequence[Witness],
    on_window: OnWindow | None,
    keep: Keeping | None,
    decider: Decider | None,
) -> tuple[_Tally, Writer | Remuxed]:
    """Write the target: the source's own packets where nothing is to be corrected, else encoded frames."""
    if engine is None and decider is None and not witnesses and (copy := remux(reader.info, target, settings)):
        return _Tally(copy.frames), copy
    writer = Writer(target, reader.info, settings)
    try:
        tally = _run(reader, writer, engine, settings, tell, witnesses, on_window, keep, decider)
        tell(Progress("finish", tally.frames, tally.frames))
        copy = None if tally.changed else remux(reader.info, target, settings)
        if copy is None:
            writer.close()
    except BaseException:
        writer.discard()
        raise
    if copy:
        writer.discard()
    return tally, copy or writer


@dataclass(frozen=True, eq=False)
class _Decided:
    """A frame on its way to the writer."""

    frame: Frame
    correction: Correction | None


class _Tally:
    """What a run adds up."""

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames
        self.shots = self.changed = self.diverged = 0
        self.kept, self.texture = KeptFrames(), TextureShots()
        self._before: FlickerSums | None = None
        self._after: FlickerSums | None = None

    def count(self, frame: Corrected[Any]) -> None:
        self.kept.add(self.frames, frame.kept)
        self.texture.add(self.frames, frame.opens_shot and not frame.kept, frame.texture)
        self.frames += 1
        self.shots += frame.opens_shot and not frame.kept
        self.diverged += frame.diverged
        if frame.before is not None and frame.after is not None:
            self._before = frame.before if self._before is None else self._before + frame.before
            self._after = frame.after if self._after is None else self._after + frame.after

    def flicker(self) -> tuple[Flicker | None, Flicker | None]:
        """Before and after."""
        before = self._before.index() if self._before else None
        after = (self._after.index() if self._after else None) if self.changed else before
        return Flicker(*before) if before else None, Flicker(*after) if after else None


def _run(
    reader: Reader,
    writer: Writer,
    engine: Engine | None,
    settings: Settings,
    tell: OnProgress,
    witnesses: Sequence[Witness],
    on_window: OnWindow | None,
    keep: Keeping | None,
    decider: Decider | None,
) -> _Tally:
    """Frames from reader to writer, each with its correction; the writer is left open."""
    layout, tally = reader.info.layout, _Tally()

    def put_out(job: Any) -> None:
        if isinstance(job, _Decided):
            frame = (engine.relit if engine else relit)(job.frame, layout, job.correction)
            if frame is not job.frame:
                tally.changed += 1
                writer.release()
            writer.write(frame)
            for witness in witnesses:
                witness.see(job.frame, frame)
        else:
            writer.copy(job)

    with (
        Background(put_out, QUEUED_FRAMES) as output,
        closing(prefetch(reader.frames(on_packet=output.put), QUEUED_FRAMES)) as frames,
        closing(
            decider(frames, reader.info, witnesses, tell)
            if decider
            else _decide(frames, reader, engine, settings, witnesses, keep)
        ) as decided,
    ):
        for frame in watched(decided, on_window):
            correction = frame.correction and frame.correction.scaled(settings.strength)
            output.put(_Decided(frame.item, correction))
            tally.count(frame)
            tell(Progress("frames", tally.frames, reader.info.frame_count_hint))
    return tally


def _decide(
    frames: Iterator[Frame],
    reader: Reader,
    engine: Engine | None,
    settings: Settings,
    witnesses: Sequence[Witness],
    keep: Keeping | None,
) -> Generator[Corrected[Frame], None, None]:
    if engine is None:
        return (Corrected(frame, None, False, None, None) for frame in frames)
    info, device, deciding = reader.info, engine.device.torch_device, Deciding(reader.info, engine, settings)

    def of(frames: Iterator[Frame], **how_far: Any) -> Generator[Corrected[Frame], None, None]:
        proxies = (
            Given(frame, proxy, proxy, "excluded" if frame.as_is else None)
            for frame, proxy in with_proxies(frames, info.layout, engine.preset, device)
        )
        return deciding.decide(proxies, witnesses=witnesses, **how_far)

    if keep is None:
        return of(frames)
    return keep.go_on(frames, of, deciding.named, device)


def _missed(report: Report, settings: Settings) -> list[str]:
    """What the user excluded that is not there."""
    excluded = settings.exclude and not any(part.why == "excluded" for part in report.kept)
    parts = ", ".join(map(str, settings.exclude))
    return [f"no frame lies in {parts}, which was to be excluded"] if excluded and settings.strength > 0 else []


def _report(
    intake: Intake,
    target: str,
    reader: Reader,
    device: Device | None,
    tally: _Tally,
    output: Writer | Remuxed,
    elapsed_s: float,
) -> Report:
    before, after = tally.flicker()
    return Report(
        source=intake.name,
        target=target,
        frames=tally.frames,
        shots=tally.shots,
        frames_changed=tally.changed,
        duration_s=reader.info.duration_s or 0.0,
        elapsed_s=elapsed_s,
        device=str(device.torch_device) if device else "none",
        device_reason=device.reason if device else "strength 0 asks for no correction",
        flicker_before=before,
        flicker_after=after,
        codec=output.codec,
        copied=output.copied,
        dropped=output.dropped,
        notes=(*reader.notes, *output.notes),
        losses=reader.losses,
        frames_diverged=tally.diverged,
        kept=tally.kept.parts,
        texture=tally.texture.shots,
    )

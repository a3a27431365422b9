"""What a run would do, without doing it: everything is read and tried, nothing is written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from deflicker.core import memory, weights
from deflicker.core.device import Device, choose
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.correction.apply import Correction
from deflicker.correction.types import FrameRecord
from deflicker.media.color import proxy_size
from deflicker.media.destination import Destination, name_of
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import Source, open_source
from deflicker.media.writer import Writer
from deflicker.motion.raft.network import FLOW_NETWORKS, build
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.run_context import Models, Run, VideoSize, flow_network
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import Step, TimedStage, build_steps, records, run_stages, scan_shots
from deflicker.report.model import Plan

_SAMPLE = 9
"""Neighbouring frames, from the middle of the video, that are really corrected to measure how long that takes."""


def plan(
    source: Source,
    target: Destination,
    settings: Settings = Settings(),
    *,
    on_progress: OnProgress | None = None,
    models: Models | None = None,
) -> Plan:
    """Find out what `deflicker` would do with the same arguments: read the whole video, find its shots, correct a few
    frames in memory.

    No file is written or fetched. Raises what `deflicker` would, as far as that can be known.
    """
    tell = on_progress or (lambda _: None)
    with (
        open_source(source, settings.input(), target=target) as opened,
        Reader(opened.info.path, settings.input(), info=opened.info) as reader,
    ):
        info, size = reader.info, VideoSize.of(reader.info)
        check_guide(settings)
        writer = Writer(target, info, settings.encoding(), dry_run=True)
        try:
            device = choose(settings.device, settings.precision)
            preset = size.fitted(settings)
            run, notes = _prepared(size, device, settings, models)
            scan = _scan(reader, settings, preset, device, tell)
            corrections, correcting_s = _correct(scan, run, info) if run else ([None] * len(scan.sample), 0.0)
            writing_s = _write(writer, scan.sample, corrections)
        except BaseException:
            writer.discard()
            raise
        sampled = len(scan.sample)
        return Plan(
            source=opened.name,
            target=Path(name_of(target)),
            video=_words(info),
            streams=(*(f"{what}: copied" for what in writer.copied), *(f"dropped: {what}" for what in writer.dropped)),
            shots=tuple(scan.shots),
            frames=scan.frames,
            encoder=writer.encoding,
            device=str(device.torch_device),
            device_reason=device.reason,
            memory_bytes=size.memory_bytes(preset, settings),
            seconds=scan.seconds + (correcting_s * scan.pictures + writing_s * scan.frames) / sampled,
            notes=(*reader.remarks, *writer.notes, *notes),
        )


def _prepared(
    size: VideoSize, device: Device, settings: Settings, models: Models | None
) -> tuple[Run | None, list[str]]:
    """The run, and what to say about its weights. Without these it is as fast: the time can be measured."""
    if settings.strength == 0:
        return None, ["strength 0 corrects nothing: the source's packets are copied if the other options allow it"]
    notes = ["if nothing flickers, the source's packets are copied instead"]
    preset = size.fitted(settings)
    network = FLOW_NETWORKS[preset.flow_network]
    own_file = settings.weights is not None and not settings.weights.is_dir()
    if not (models or own_file or settings.offline or weights.locate(network, path=settings.weights)):
        state = dict(build(preset.flow_network).state_dict())
        notes.append(f"the weights of {preset.flow_network} are downloaded first")
        models = Models(flow=flow_network(state, preset, device))
    return Run.prepare(size, replace(settings, offline=True), models, lambda _: None), notes


@dataclass
class _Scan:
    """What one pass over the frames finds."""

    frames: int = 0
    pictures: int = 0
    """Frames that do not just repeat the one before."""
    shots: list[int] = field(default_factory=list)
    sample: deque[DecodedPicture] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    seconds: float = 0.0


def _scan(reader: Reader, settings: Settings, preset: Preset, device: Device, on_progress: OnProgress) -> _Scan:
    scan, started, info = _Scan(), time.monotonic(), reader.info
    middle = (info.frame_count_hint or 0) // 2
    size = proxy_size(info.height, info.width, preset.flow_max_side_px)
    with closing(prefetch(reader.frames(), memory.QUEUED_FRAMES)) as frames:
        pictures = (DecodedPicture.of(frame, info.layout) for frame in frames)
        for record in scan_shots(pictures, settings, size, device.torch_device):
            if record.starts_shot:
                scan.shots.append(scan.frames)
            if scan.frames < middle + _SAMPLE and isinstance(record.picture, DecodedPicture):
                scan.sample.append(record.picture)
            scan.frames += 1
            scan.pictures += not record.is_duplicate
            on_progress(Progress("scan", scan.frames, info.frame_count_hint))
    scan.seconds = time.monotonic() - started
    return scan


def _correct(scan: _Scan, run: Run, info: VideoInfo) -> tuple[list[Correction | None], float]:
    """The corrections of the sample, found by the real stages, and the seconds that this takes in a whole run."""
    size, device = run.proxy_size, run.device.torch_device
    # A sample out of the middle of a guide would need the frames before; its motion takes as long without.
    sampled = replace(run, settings=replace(run.settings, guide=None))
    proxy = scan.sample[0].rgb(size, device)
    run.flow.features(proxy[None])  # the first call sets things up
    steps = [Step(step.name, TimedStage(step.stage), step.ahead) for step in build_steps(sampled, info)]
    found = list(run_stages(records(scan.sample, size, device), steps, device, threads=False))
    # Every picture is in several windows: as history, in the core, as look-ahead.
    preset, pictures = run.preset, scan.pictures
    times_seen = max(1.0, min(preset.window_frames, pictures) / min(preset.core_frames, pictures))
    seconds = {step.name: step.stage.seconds for step in steps if isinstance(step.stage, TimedStage)}
    seconds["tone"] *= times_seen
    return [each.correction for each in found if isinstance(each, FrameRecord)], sum(seconds.values())


def _write(writer: Writer, sample: Iterable[DecodedPicture], corrections: Iterable[Correction | None]) -> float:
    """Encode the sample; the seconds that it took."""
    started = time.monotonic()
    for picture, correction in zip(sample, corrections, strict=True):
        writer.write(picture.corrected(correction))
    writer.close()
    return time.monotonic() - started


def _words(info: VideoInfo) -> str:
    parts = [info.codec, f"{info.width}x{info.height}", info.pix_fmt]
    if info.average_rate:
        parts.append(f"{float(info.average_rate):.5g} frames a second")
    if info.duration_s:
        parts.append(f"{info.duration_s:.1f} s")
    return ", ".join(parts)

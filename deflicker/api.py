"""The stages wired together: decode → proxies → motion and shots → correction → planes → encode."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deflicker import weights
from deflicker.background import Background, prefetch
from deflicker.correction.apply import corrected_planes
from deflicker.correction.stream import Corrected, correct
from deflicker.device import Device, choose
from deflicker.media.color import as_tensors, normalise, proxy_size, to_rgb
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.remux import Remuxed, remux
from deflicker.media.writer import Writer
from deflicker.memory import BATCH_FRAMES, QUEUED_FRAMES, fit
from deflicker.metrics.flicker import FlickerSums
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.track import track
from deflicker.report.model import Flicker, Progress, Report
from deflicker.settings import Preset, Settings

OnProgress = Callable[[Progress], None]


def deflicker(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    settings: Settings = Settings(),
    *,
    on_progress: OnProgress | None = None,
) -> Report:
    """Take the flicker out of the video `source` and write it to `target`.

    `on_progress` is called often, from this thread; an exception in it stops the run. Whatever ends the run early,
    nothing is left at `target` that was not there before. Raises a DeflickerError: InputError, OutputError,
    SettingsError, WeightsError or DeviceError.
    """
    started = time.monotonic()
    tell = on_progress or (lambda _: None)
    with Reader(Path(source), start=settings.start, end=settings.end) as reader:
        writer = Writer(Path(target), reader.info, settings)
        try:
            engine = Engine.load(reader.info, settings, tell)
            tally = _run(reader, writer, engine, settings, tell)
            tell(Progress("finish", tally.frames, tally.frames))
            copy = remux(reader.info, Path(target), settings) if not tally.changed else None
            if copy:
                writer.discard()
            else:
                writer.close()
        except BaseException:
            writer.discard()
            raise
        elapsed_s = time.monotonic() - started
        return _report(reader, target, engine.device, tally, copy or writer, elapsed_s)


@dataclass(frozen=True, eq=False)
class Engine:
    """What is loaded once per run: the device, the flow network, the preset fitted to memory."""

    device: Device
    flow: FlowEstimator
    preset: Preset

    @classmethod
    def load(cls, info: VideoInfo, settings: Settings, tell: OnProgress) -> Engine:
        """Choose the device and load the weights. Raises DeviceError, WeightsError or SettingsError."""
        device = choose(settings.device, settings.precision)
        preset = settings.plan
        shift_x, shift_y = info.layout.chroma_shift
        samples = {"gray": 1.0, "rgb": 3.0, "yuv": 1 + 2 / (1 << (shift_x + shift_y))}[info.layout.family]
        frame_bytes = int(info.width * info.height * samples * (2 if info.layout.bit_depth > 8 else 1))
        preset = fit(info.width, info.height, frame_bytes, preset, settings.max_memory)
        return cls(device, load_flow(preset, device, settings, tell), preset)


def load_flow(preset: Preset, device: Device, settings: Settings, tell: OnProgress) -> FlowEstimator:
    """The preset's flow network with its weights, fetched first where that was never done."""
    tell(Progress("weights", 0, None))
    state = weights.load(preset.flow_network, path=settings.weights, offline=settings.offline)
    return FlowEstimator(
        preset.flow_network, state, device=device.torch_device, dtype=device.dtype, updates=preset.flow_updates
    )


@dataclass(frozen=True, eq=False)
class _Decided:
    """A frame on its way to the writer."""

    frame: Frame
    log_gain: Tensor | None

    def relit(self, layout: PlaneLayout) -> Frame:
        if self.log_gain is None:
            return self.frame
        return replace(self.frame, planes=corrected_planes(self.frame, layout, self.log_gain))


class _Tally:
    """What a run adds up."""

    def __init__(self) -> None:
        self.frames = self.shots = self.changed = 0
        self._before: FlickerSums | None = None
        self._after: FlickerSums | None = None

    def count(self, frame: Corrected[Any], changed: bool) -> None:
        self.frames += 1
        self.shots += frame.opens_shot
        self.changed += changed
        if frame.before is not None and frame.after is not None:
            self._before = frame.before if self._before is None else self._before + frame.before
            self._after = frame.after if self._after is None else self._after + frame.after

    def flicker(self) -> tuple[Flicker | None, Flicker | None]:
        """Before and after."""
        before = self._before.index() if self._before else None
        after = (self._after.index() if self._after else None) if self.changed else before
        return Flicker(*before) if before else None, Flicker(*after) if after else None


def _run(reader: Reader, writer: Writer, engine: Engine, settings: Settings, tell: OnProgress) -> _Tally:
    """Frames from reader to writer, each with its correction; the writer is left open."""
    layout, tally = reader.info.layout, _Tally()

    def put_out(job: Any) -> None:
        if isinstance(job, _Decided):
            writer.write(job.relit(layout))
        else:
            writer.copy(job)

    with (
        Background(put_out, QUEUED_FRAMES) as output,
        closing(prefetch(reader.frames(on_packet=output.put), QUEUED_FRAMES)) as frames,
    ):
        proxies = _with_proxies(frames, reader.info, engine)
        for frame in correct(track(proxies, engine.flow, batch_frames=BATCH_FRAMES), engine.preset):
            gain = frame.log_gain if settings.strength > 0 else None
            output.put(_Decided(frame.item, None if gain is None else gain * settings.strength))
            tally.count(frame, gain is not None)
            tell(Progress("frames", tally.frames, reader.info.frame_count_hint))
    return tally


def _with_proxies(frames: Iterator[Frame], info: VideoInfo, engine: Engine) -> Iterator[tuple[Frame, Tensor]]:
    size = proxy_size(info.height, info.width, engine.preset.flow_max_side_px)
    for frame in frames:
        yield frame, proxy_of(frame, info.layout, size, engine.device.torch_device)


def proxy_of(frame: Frame, layout: PlaneLayout, size: tuple[int, int], device: torch.device) -> Tensor:
    """The small R'G'B' copy `[3, h, w]` in [0, 1] of a frame, on a device."""
    return to_rgb(normalise(as_tensors(frame.planes, layout, device), layout), layout, size).clamp(0, 1)


def _report(
    reader: Reader,
    target: str | os.PathLike[str],
    device: Device,
    tally: _Tally,
    output: Writer | Remuxed,
    elapsed_s: float,
) -> Report:
    before, after = tally.flicker()
    return Report(
        source=str(reader.info.path),
        target=os.fspath(target),
        frames=tally.frames,
        shots=tally.shots,
        frames_changed=tally.changed,
        duration_s=reader.info.duration_s or 0.0,
        elapsed_s=elapsed_s,
        device=str(device.torch_device),
        device_reason=device.reason,
        flicker_before=before,
        flicker_after=after,
        codec=output.codec,
        copied=output.copied,
        dropped=output.dropped,
        notes=(*reader.notes, *output.notes),
    )

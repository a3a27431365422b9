"""What a run would do, without doing it: everything is read and tried, nothing is written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from deflicker.core import memory, weights
from deflicker.core.device import Device, choose
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.correction.apply import Correction, colours_of, luma_of, relit
from deflicker.correction.texture.autoencoder.codec import Codec
from deflicker.correction.texture.autoencoder.loading import bytes_of
from deflicker.correction.texture.stabilize import steady
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.state import Window
from deflicker.correction.types import Corrected
from deflicker.media.color import with_proxies
from deflicker.media.demux import limits_of
from deflicker.media.destination import Destination, name_of
from deflicker.media.frame import Frame, frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import Source, take_in
from deflicker.media.writer import Writer
from deflicker.motion.raft.network import FLOW_NETWORKS
from deflicker.motion.segment import NoFlow
from deflicker.motion.tracking import Flow, Tracked, track
from deflicker.pipeline.engine import Networks, flow_network
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.stages import locks_texture, renewal_of, texture_reach
from deflicker.report.model import Plan

_SAMPLE = 9
"""Neighbouring frames, from the middle of the video, that are really corrected to measure how long that takes."""


def plan(
    source: Source,
    target: Destination,
    settings: Settings = Settings(),
    *,
    on_progress: OnProgress | None = None,
) -> Plan:
    """Find out what `deflicker` would do with the same arguments: read the whole video, find its shots, correct a few
    frames in memory.

    No file is written or fetched. Raises what `deflicker` would, as far as that can be known.
    """
    tell = on_progress or (lambda _: None)
    with (
        take_in(source, settings, target=target, limits=limits_of(settings)) as intake,
        Reader.of(intake.info, settings, limits=limits_of(settings)) as reader,
    ):
        info = reader.info
        check_guide(settings)
        writer = Writer(target, info, settings, trial=True)
        try:
            device = choose(settings.device, settings.precision)
            size = frame_bytes(info.width, info.height, info.layout)
            codec_bytes = bytes_of(settings.autoencoder)
            preset = memory.fit(info.width, info.height, size, settings.plan, settings.max_memory, codec_bytes)
            network, notes = _network(preset, device, settings)
            scan = _scan(reader, preset, device, tell)
            latents = preset.latents and preset.texture_reach and network is not None
            codec = Networks().codec(device, settings) if latents else None
            seconds = scan.seconds + _estimate(scan, network, codec, preset, settings, writer, info)
        except BaseException:
            writer.discard()
            raise
        return Plan(
            source=intake.name,
            target=Path(name_of(target)),
            video=_words(info),
            streams=(*(f"{what}: copied" for what in writer.copied), *(f"dropped: {what}" for what in writer.dropped)),
            shots=tuple(scan.shots),
            frames=scan.frames,
            encoder=writer.encoding,
            device=str(device.torch_device),
            device_reason=device.reason,
            memory_bytes=memory.estimate(info.width, info.height, size, preset, codec_bytes),
            seconds=seconds,
            notes=(*reader.remarks, *writer.notes, *notes),
        )


def _network(preset: Preset, device: Device, settings: Settings) -> tuple[Flow | None, list[str]]:
    """The flow network, and what to say about its weights. Without them it is as fast: the time can be measured."""
    if settings.strength == 0:
        return None, ["strength 0 corrects nothing: the source's packets are copied where the other options allow it"]
    notes = ["where nothing flickers, the source's packets are copied instead"]
    name = preset.flow_network
    own_file = settings.weights is not None and not settings.weights.is_dir()
    if own_file or settings.offline or weights.locate(FLOW_NETWORKS[name], path=settings.weights):
        state = weights.load(FLOW_NETWORKS[name], path=settings.weights, offline=True)
    else:
        from deflicker.motion.raft.network import build

        state = dict(build(name).state_dict())
        notes.append(f"the weights of {name} are fetched first")
    return flow_network(state, preset, device), notes


@dataclass
class _Scan:
    """What one pass over the frames finds."""

    frames: int = 0
    pictures: int = 0
    """Frames that do not just repeat the one before."""
    shots: list[int] = field(default_factory=list)
    sample: deque[Tracked[Frame]] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    seconds: float = 0.0


def _scan(reader: Reader, preset: Preset, device: Device, tell: OnProgress) -> _Scan:
    scan, started = _Scan(), time.monotonic()
    middle = (reader.info.frame_count_hint or 0) // 2
    with closing(prefetch(reader.frames(), memory.QUEUED_FRAMES)) as frames:
        proxies = with_proxies(frames, reader.info.layout, preset, device.torch_device)
        for frame in track(proxies, NoFlow(), batch_frames=memory.BATCH_FRAMES):
            if frame.opens_shot:
                scan.shots.append(scan.frames)
            if scan.frames < middle + _SAMPLE:
                scan.sample.append(frame)
            scan.frames += 1
            scan.pictures += not frame.held
            tell(Progress("scan", scan.frames, reader.info.frame_count_hint))
    scan.seconds = time.monotonic() - started
    return scan


def _estimate(
    scan: _Scan,
    network: Flow | None,
    codec: Codec | None,
    preset: Preset,
    settings: Settings,
    writer: Writer,
    info: VideoInfo,
) -> float:
    """Seconds to follow, correct and encode all frames, from doing so with the sample."""
    items = [frame.item for frame in scan.sample]
    corrections: list[Correction | None] = [None] * len(items)
    correcting_s = 0.0
    if network is not None:
        proxies = torch.stack([frame.proxy for frame in scan.sample])
        network.features(proxies[:1])  # the first call sets things up
        started = time.monotonic()
        forward_px, backward_px = _follow(network, proxies)
        followed = time.monotonic()
        solution = solve(Window(proxies, forward_px, backward_px, len(proxies)), None, preset, settings)
        corrections = solution.corrections()
        # Every picture is in several windows: as history, in the core, as look-ahead.
        times_seen = max(1.0, min(preset.window_frames, scan.pictures) / min(preset.core_frames, scan.pictures))
        solved = time.monotonic()
        corrections = _with_texture(items, corrections, (forward_px, backward_px), codec, preset, settings, info)
        correcting_s = followed - started + times_seen * (solved - followed) + time.monotonic() - solved
    started = time.monotonic()
    for item, correction in zip(items, corrections, strict=True):
        writer.write(relit(item, info.layout, correction))
    writer.close()
    writing_s = time.monotonic() - started
    return (correcting_s * scan.pictures + writing_s * scan.frames) / len(items)


def _with_texture(
    items: Sequence[Frame],
    corrections: Sequence[Correction | None],
    flows: tuple[Tensor, Tensor],
    codec: Codec | None,
    preset: Preset,
    settings: Settings,
    info: VideoInfo,
) -> list[Correction | None]:
    """The corrections of neighbouring frames, completed as in a run. flows: `[n - 1, 2, h, w]`, there and back."""
    device = flows[0].device

    def luma(frame: Frame, correction: Correction | None) -> Tensor:
        return luma_of(frame, info.layout, correction, preset.texture_max_side_px, device)

    def colours(frame: Frame, correction: Correction | None) -> Tensor:
        return colours_of(frame, info.layout, correction, preset.texture_max_side_px, device)

    motion = [(None, None), *zip(*flows, strict=True)]
    toned = [
        Corrected(item, correction, index == 0, None, None, False, *motion[index])
        for index, (item, correction) in enumerate(zip(items, corrections, strict=True))
    ]
    done = steady(
        toned,
        luma,
        reach=texture_reach(preset, settings),
        colours_of=colours,
        locks=locks_texture(settings),
        renewal=renewal_of(codec, settings),
    )
    return [frame.correction for frame in done]


def _follow(network: Flow, proxies: Tensor) -> tuple[Tensor, Tensor]:
    features = network.features(proxies)
    if len(features) == 1:
        none = proxies.new_zeros(0, 2, *proxies.shape[-2:])
        return none, none
    return network.flow(features[:-1], features[1:])


def _words(info: VideoInfo) -> str:
    parts = [info.codec, f"{info.width}x{info.height}", info.pix_fmt]
    if info.average_rate:
        parts.append(f"{float(info.average_rate):.5g} frames a second")
    if info.duration_s:
        parts.append(f"{info.duration_s:.1f} s")
    return ", ".join(parts)

"""Frames a second: end to end through the product's command, of other methods, and of each stage alone."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from deflicker import Settings

from . import synthetic
from .measure import measure
from .stages import NAMES, stages

WARM_UP_FRAMES = 12
BASIS = "ffmpeg_deflicker"
"""What speeds are compared with."""
Clip = tuple[int, int, int]
"""Width, height, length in seconds."""
FILTERS = {"ffmpeg_deflicker": "deflicker", "atadenoise": "atadenoise"}
"""Peers that are a filter of FFmpeg and work frame by frame on the whole clip."""
PEER_FRAMES = 24
PEER_PIXELS = 40_000_000
"""The other peers hold all frames in memory: they are given at most so many frames, and pixels of all frames."""


@dataclass(frozen=True)
class Plan:
    """What to run."""

    sizes: Sequence[tuple[int, int]]
    presets: Sequence[str]
    seconds: Sequence[int]
    """Lengths of the clips."""
    rate: int
    """Frames a second of the clips."""
    devices: Sequence[str]
    peers: Sequence[str] = (BASIS,)
    """Each is run once a size, FFmpeg's filters once a clip."""
    stages: bool = True
    codec: str | None = None
    report: bool = False


@dataclass(frozen=True)
class Row:
    """One run."""

    width: int
    height: int
    seconds: int
    """Length of the clip."""
    method: str
    """A preset, or a peer."""
    frames: int
    fps: float
    """Frames a second, end to end, weights loaded and start-up not counted."""
    start_s: float | None
    """The rest of the process's time: imports, start-up, shutting down. None for peers."""
    peak_mb: float
    gpu_peak_mb: float | None
    to_ffmpeg: float = 1.0
    """fps over that of FFmpeg's deflicker filter on the same clip."""
    device: str | None = None
    """Where the product ran; None for peers."""
    stages: dict[str, float] = field(default_factory=dict)
    """Frames a second of each stage alone, in one process."""

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def is_peer(self) -> bool:
        return self.device is None

    @property
    def name(self) -> str:
        return self.method if self.device is None else f"{self.method}, {self.device}"

    @property
    def to_slowest(self) -> float | None:
        """Time of a frame end to end over its time in the slowest stage alone: 1 where the rest hides behind it."""
        return min(self.stages.values()) / self.fps if self.stages else None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"to_slowest": self.to_slowest}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """The way back of `to_dict`."""
        return cls(**{name: value for name, value in values.items() if name != "to_slowest"})


def machine() -> str:
    """The machine in words, without its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores} cores {platform.machine()}{gpu}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def run(plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure every size: FFmpeg's filters and the product on clips of each length, then the other peers once."""
    for width, height in plan.sizes:
        source = folder / "in.mp4"
        synthetic.write(source, width, height, WARM_UP_FRAMES, rate=plan.rate)
        for device in plan.devices:
            for preset in plan.presets:  # weights fetched, files in the cache of the system
                _product((width, height, 0), folder, preset, device, plan)
        basis = 0.0
        for seconds in sorted(plan.seconds):
            basis = yield from _one_clip((width, height, seconds), plan, folder)
        frames = max(2, min(PEER_FRAMES, PEER_PIXELS // (width * height)))
        synthetic.write(source, width, height, frames, rate=plan.rate)
        for name in (peer for peer in plan.peers if peer not in FILTERS):
            row = _peer((width, height, round(frames / plan.rate)), folder, name)
            yield replace(row, to_ffmpeg=row.fps / basis)


def _one_clip(clip: Clip, plan: Plan, folder: Path) -> Generator[Row, None, float]:
    """All rows of a size and length; returns the frames a second of what the others are compared with."""
    width, height, seconds = clip
    synthetic.write(folder / "in.mp4", width, height, seconds * plan.rate, rate=plan.rate)
    basis = _peer(clip, folder, BASIS)
    yield basis
    for name in (peer for peer in plan.peers if peer in FILTERS and peer != BASIS):
        row = _peer(clip, folder, name)
        yield replace(row, to_ffmpeg=row.fps / basis.fps)
    for device in plan.devices:
        for preset in plan.presets:
            row = _product(clip, folder, preset, device, plan)
            settings = Settings(preset=preset, device=device, codec=plan.codec, overwrite=True)  # type: ignore[arg-type]
            alone = stages(folder / "in.mp4", folder / "out.mp4", settings) if plan.stages else {}
            yield replace(row, to_ffmpeg=row.fps / basis.fps, stages=alone)
    return basis.fps


def _peer(clip: Clip, folder: Path, name: str) -> Row:
    """Decode, another method, encode."""
    what = ("ffmpeg", FILTERS[name]) if name in FILTERS else ("peer", name)
    found = measure(what[0], str(folder / "in.mp4"), str(folder / "out.mp4"), what[1])
    fps = found["frames"] / found["seconds"]
    return Row(*clip, name, found["frames"], fps, None, found["peak_mb"], None)


def _product(clip: Clip, folder: Path, preset: str, device: str, plan: Plan) -> Row:
    """A run of the command."""
    log = folder / "log.json"
    log.unlink(missing_ok=True)
    options = ["-y", "-q", "--preset", preset, "--device", device, "--log-json", str(log)]
    options += ["--codec", plan.codec] if plan.codec else []
    options += ["--report", str(folder / "report.html"), "--no-lpips"] if plan.report else []
    found = measure("deflicker", str(folder / "in.mp4"), str(folder / "out.mp4"), *options)
    report = next(e for e in map(json.loads, log.read_text().splitlines()) if e["event"] == "result")
    frames, elapsed_s = report["frames"], report["elapsed_s"]
    peaks = found["peak_mb"], found["gpu_peak_mb"]
    start_s = found["seconds"] - elapsed_s
    return Row(*clip, preset, frames, frames / elapsed_s, start_s, *peaks, device=report["device"])


def table(rows: Sequence[Row]) -> list[list[str]]:
    stage_names = [name for name in NAMES if any(name in row.stages for row in rows)]
    whole = ["length, s", "frames", "frames/s", "× FFmpeg", "start, s", "peak RSS, MB", "GPU, MB"]
    lines = [["size", "method", *whole, *stage_names, *(["total / slowest"] if stage_names else [])]]
    for row in rows:
        gpu = "–" if row.gpu_peak_mb is None else f"{row.gpu_peak_mb:.0f}"
        cells = [row.size, row.name, str(row.seconds), str(row.frames), f"{row.fps:.2f}", f"{row.to_ffmpeg:.3f}"]
        cells += [f"{row.start_s:.1f}" if row.start_s is not None else "–", f"{row.peak_mb:.0f}", gpu]
        cells += [f"{row.stages[name]:.1f}" if name in row.stages else "–" for name in stage_names]
        if stage_names:
            cells.append(f"{row.to_slowest:.2f}" if row.to_slowest is not None else "–")
        lines.append(cells)
    return lines

"""Frames a second: end to end through the product's command, of FFmpeg's deflicker filter, and of each stage alone."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from . import synthetic
from .measure import measure
from .stages import stages

WARM_UP_FRAMES = 12


@dataclass(frozen=True)
class Plan:
    """What to run."""

    sizes: Sequence[tuple[int, int]]
    presets: Sequence[str]
    seconds: int
    device: str
    stages: bool


@dataclass(frozen=True)
class Row:
    """One run."""

    width: int
    height: int
    method: str
    """A preset, or `ffmpeg_deflicker`."""
    frames: int
    fps: float
    """Frames a second, end to end, weights loaded and start-up not counted."""
    start_s: float
    """The rest of the process's time: imports, start-up, shutting down."""
    peak_mb: float
    gpu_peak_mb: float | None
    to_ffmpeg: float
    """fps over that of FFmpeg's deflicker filter in the same run."""
    device: str = "cpu"
    stages: dict[str, float] = field(default_factory=dict)
    """Frames a second of each stage alone, in one process."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def machine() -> str:
    """The machine in words, without its name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores} cores {platform.machine()}{gpu}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def run(plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure every size: FFmpeg's filter first, then each preset."""
    source, target, log = folder / "in.mp4", folder / "out.mp4", folder / "log.json"
    for width, height in plan.sizes:
        synthetic.write(source, width, height, WARM_UP_FRAMES)
        for preset in plan.presets:  # weights fetched, files in the cache of the system
            measure("deflicker", str(source), str(target), "-y", "-q", "--preset", preset, "--device", plan.device)
        frames = plan.seconds * synthetic.RATE
        synthetic.write(source, width, height, frames)
        found = measure("ffmpeg", str(source), str(target))
        basis = frames / found["seconds"]
        yield Row(width, height, "ffmpeg_deflicker", frames, basis, 0.0, found["peak_mb"], None, 1.0)
        for preset in plan.presets:
            log.unlink(missing_ok=True)
            options = ("-y", "-q", "--preset", preset, "--device", plan.device, "--log-json", str(log))
            found = measure("deflicker", str(source), str(target), *options)
            report = next(e for e in map(json.loads, log.read_text().splitlines()) if e["event"] == "result")
            fps = report["frames"] / report["elapsed_s"]
            row = Row(
                width=width,
                height=height,
                method=preset,
                frames=report["frames"],
                fps=fps,
                start_s=found["seconds"] - report["elapsed_s"],
                peak_mb=found["peak_mb"],
                gpu_peak_mb=found["gpu_peak_mb"],
                to_ffmpeg=fps / basis,
                device=report["device"],
            )
            yield replace(row, stages=stages(source, target, preset, plan.device)) if plan.stages else row


def table(rows: Sequence[Row]) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in rows for name in row.stages))
    head = ["size", "method", "frames/s", "× FFmpeg", "start, s", "peak RSS, MB", "GPU, MB", *names]
    table = [head]
    for row in rows:
        gpu = "–" if row.gpu_peak_mb is None else f"{row.gpu_peak_mb:.0f}"
        whole = [f"{row.fps:.2f}", f"{row.to_ffmpeg:.3f}", f"{row.start_s:.1f}", f"{row.peak_mb:.0f}", gpu]
        parts = [f"{row.stages[name]:.1f}" if name in row.stages else "–" for name in names]
        table.append([f"{row.width}x{row.height}", row.method, *whole, *parts])
    return table

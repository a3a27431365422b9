"""Peak memory of the product's process against the length of the video: it must not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deflicker.core.presets import PRESETS

from . import synthetic
from .measure import measure


@dataclass(frozen=True)
class Row:
    """One run."""

    width: int
    height: int
    seconds: int
    """Length of the video."""
    frames: int
    preset: str
    device: str
    """As asked for."""
    peak_mb: float
    """Most resident memory of the process, 10⁶ bytes."""
    gpu_peak_mb: float | None
    """Most memory torch held on the GPU."""
    wall_s: float
    ratio: float
    """Peak over that of the shortest length."""
    gpu_ratio: float | None = None

    @property
    def what(self) -> str:
        """All but the length."""
        return f"{self.width}x{self.height}, {self.preset}, {self.device}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to run."""

    sizes: Sequence[tuple[int, int]]
    lengths: Sequence[int]
    """Seconds."""
    rate: int
    """Frames a second of the clips."""
    presets: Sequence[str]
    devices: Sequence[str]


def settled_frames(presets: Sequence[str]) -> int:
    """Frames from which on a clip has filled all that these presets hold of one: a window, and as much on its way."""
    return max(2 * PRESETS[preset].window_frames for preset in presets)  # type: ignore[index]


def run(plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure every size × length × device × preset, the shortest first."""
    source, target = folder / "in.mp4", folder / "out.mp4"
    for width, height in plan.sizes:
        first: dict[tuple[str, str], Row] = {}
        for seconds in sorted(plan.lengths):
            frames = seconds * plan.rate
            synthetic.write(source, width, height, frames, rate=plan.rate)
            for device in plan.devices:
                for preset in plan.presets:
                    options = ("-y", "-q", "--preset", preset, "--device", device)
                    found = measure("deflicker", str(source), str(target), *options)
                    peak, gpu = found["peak_mb"], found["gpu_peak_mb"]
                    basis = first.get((device, preset))
                    row = Row(
                        width=width,
                        height=height,
                        seconds=seconds,
                        frames=frames,
                        preset=preset,
                        device=device,
                        peak_mb=peak,
                        gpu_peak_mb=gpu,
                        wall_s=found["seconds"],
                        ratio=peak / basis.peak_mb if basis else 1.0,
                        gpu_ratio=None if gpu is None else gpu / ((basis and basis.gpu_peak_mb) or gpu),
                    )
                    first.setdefault((device, preset), row)
                    yield row


def table(rows: Sequence[Row]) -> list[list[str]]:
    columns = ["length, s", "frames", "peak RSS, MB", "to the shortest", "GPU, MB", "to the shortest", "run time, s"]
    return [["size", "preset", "device", *columns], *map(_cells, rows)]


def _cells(row: Row) -> list[str]:
    gpu = ["–" if row.gpu_peak_mb is None else f"{row.gpu_peak_mb:.0f}"]
    gpu.append("–" if row.gpu_ratio is None else f"{row.gpu_ratio:.3f}")
    peak = [f"{row.peak_mb:.0f}", f"{row.ratio:.3f}", *gpu]
    size = f"{row.width}x{row.height}"
    return [size, row.preset, row.device, str(row.seconds), str(row.frames), *peak, f"{row.wall_s:.0f}"]

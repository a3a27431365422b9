"""Peak memory of the product's process against the length of the video: it must not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import synthetic
from .measure import measure


@dataclass(frozen=True)
class Row:
    """One run."""

    width: int
    height: int
    seconds: int
    """Length of the video."""
    preset: str
    peak_mb: float
    """Most resident memory of the process, 10⁶ bytes."""
    gpu_peak_mb: float | None
    """Most memory torch held on the GPU."""
    wall_s: float
    ratio: float
    """Peak over that of the shortest length."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    sizes: Sequence[tuple[int, int]], lengths: Sequence[int], presets: Sequence[str], device: str, folder: Path
) -> Iterator[Row]:
    """Measure every size × preset × length, the shortest first."""
    source, target = folder / "in.mp4", folder / "out.mp4"
    for width, height in sizes:
        first: dict[str, float] = {}
        for seconds in sorted(lengths):
            synthetic.write(source, width, height, seconds * synthetic.RATE)
            for preset in presets:
                options = ("-y", "-q", "--preset", preset, "--device", device)
                found = measure("deflicker", str(source), str(target), *options)
                peak = found["peak_mb"]
                ratio = peak / first.setdefault(preset, peak)
                yield Row(width, height, seconds, preset, peak, found["gpu_peak_mb"], found["seconds"], ratio)


def table(rows: Sequence[Row]) -> list[list[str]]:
    head = ["size", "preset", "length, s", "peak RSS, MB", "to the shortest", "GPU, MB", "run time, s"]
    return [head, *map(_cells, rows)]


def _cells(row: Row) -> list[str]:
    size, gpu = f"{row.width}x{row.height}", "–" if row.gpu_peak_mb is None else f"{row.gpu_peak_mb:.0f}"
    return [size, row.preset, str(row.seconds), f"{row.peak_mb:.0f}", f"{row.ratio:.3f}", gpu, f"{row.wall_s:.0f}"]

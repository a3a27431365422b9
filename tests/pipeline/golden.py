"""Hashes of the frames that come out, by every route through the product.

`python -m tests.pipeline.golden CASE ...` prints one JSON object: cases such as `bunny/fast/file` to the SHA-256 of the
decoded planes. `run` pins the arithmetic first: fp32, one thread, AVX2 kernels. So the hashes of small frames hold on
every x86 machine with the same torch, and those of larger ones on the same processor. `python -m tests.pipeline.golden
--write` records the hashes of every case of the file again; do so only with a measured reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

PINNED = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
}
FRAMES = 24
CLIPS = ("bunny", "bunny_clean", "synthetic", "synthetic_clean", "made")
PRESETS = ("fast", "balanced", "quality")
ROUTES = ("file", "frames", "resumed", "segments")


class Stop(Exception):
    """Ends a run half-way."""


def run(cases: Sequence[str]) -> dict[str, str]:
    """The hashes of cases such as `bunny/fast/file`, computed in a process of its own with pinned arithmetic."""
    command = [sys.executable, "-m", "tests.pipeline.golden", *cases]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=root, env=os.environ | PINNED | {"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    hashes: dict[str, str] = json.loads(done.stdout)
    return hashes


def made_frames() -> list[Any]:
    """A pumping pattern with a seam, then a cut to one that boils: `[H, W, 3]` in [0, 1]."""
    from tests.assets import drifting

    chance = np.random.default_rng(7)
    first = drifting(14, 160, 96)
    first[7:] = [np.clip(each * [1.12, 1.0, 0.9], 0, 1) for each in first[7:]]
    coarse = [np.kron(chance.standard_normal((24, 40, 1)), np.ones((4, 4, 1))) for _ in range(14)]
    fine = [chance.standard_normal((96, 160, 1)) for _ in range(14)]
    second = [
        np.clip(1 - each + 0.02 * a + 0.015 * b, 0, 1)
        for each, a, b in zip(drifting(14, 160, 96), coarse, fine, strict=True)
    ]
    return [*first, *second]


def source_of(clip: str, folder: Path) -> Path:
    from tests.assets import SAMPLES, write_video

    if clip != "made":
        return SAMPLES / f"{clip}.mp4"
    path = folder / "made.mkv"
    return path if path.exists() else write_video(path, made_frames(), codec="ffv1", pix_fmt="yuv420p", sound=True)


def hash_of_file(path: Path) -> str:
    import av

    digest = hashlib.sha256()
    with av.open(path) as container:
        for frame in container.decode(video=0):
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()[:16]


def settings_of(preset: str, **more: Any) -> Any:
    from deflicker import Settings, TimePoint

    end = TimePoint(frame=FRAMES)
    return Settings(preset=preset, device="cpu", precision="fp32", codec="ffv1", end=end, overwrite=True, **more)


def by_file(source: Path, preset: str, folder: Path) -> str:
    from deflicker import deflicker

    deflicker(source, folder / "out.mkv", settings_of(preset))
    return hash_of_file(folder / "out.mkv")


def rgb_of(planes: Any, height: int) -> Any:
    """`[H, W, 3]` uint8 of yuv420p planes. FFmpeg's own conversion rounds differently from one processor to another."""
    chroma = planes[height:].reshape(2, height // 2, -1).repeat(2, 1).repeat(2, 2).astype(np.int64) - 128
    luma = 298 * (planes[:height].astype(np.int64) - 16) + 128
    colours = luma + 409 * chroma[1], luma - 100 * chroma[0] - 208 * chroma[1], luma + 516 * chroma[0]
    return np.clip(np.stack(colours, -1) >> 8, 0, 255).astype(np.uint8)


def by_frames(source: Path, preset: str, folder: Path) -> str:
    import av

    from deflicker import deflicker_frames

    with av.open(source) as container:
        decoded = [rgb_of(frame.to_ndarray(), frame.height) for frame in container.decode(video=0)][:FRAMES]
    digest = hashlib.sha256()
    for frame in deflicker_frames(decoded, 25, replace(settings_of(preset), codec=None)):
        digest.update(frame.tobytes())
    return digest.hexdigest()[:16]


def by_resuming(source: Path, preset: str, folder: Path) -> str:
    from deflicker import deflicker

    settings = settings_of(preset, resume=True)

    def tell(step: Any) -> None:
        if step.stage == "frames" and step.frames_done >= FRAMES // 2:
            raise Stop

    try:
        deflicker(source, folder / "out.mkv", settings, on_progress=tell, checkpoint_s=0)
    except Stop:
        deflicker(source, folder / "out.mkv", settings)
    else:
        raise AssertionError("the run was not stopped")
    return hash_of_file(folder / "out.mkv")


def by_segments(source: Path, preset: str, folder: Path) -> str:
    from deflicker import deflicker
    from deflicker.pipeline.distributed.scheduler import ShotScheduler
    from deflicker.pipeline.distributed.segments import SegmentWork, store_segment
    from deflicker.pipeline.run_context import Models

    settings, models = settings_of(preset), Models()

    class Here:
        size = 1

        def store_segment(self, source: Path, segment: Any, target: Path, *, motion: bool, stop: Any) -> None:
            store_segment(source, segment, settings, target, SegmentWork(models, motion, stop))

    scheduler = ShotScheduler(source, folder / "out.mkv", settings, Here())
    scheduler.min_frames = 1
    with scheduler as corrections:
        deflicker(source, folder / "out.mkv", settings, corrections=corrections)
    return hash_of_file(folder / "out.mkv")


BY_ROUTE: dict[str, Callable[[Path, str, Path], str]] = {
    "file": by_file,
    "frames": by_frames,
    "resumed": by_resuming,
    "segments": by_segments,
}


def main(cases: Sequence[str]) -> None:
    import torch

    torch.set_num_threads(1)
    hashes = {}
    for case in cases or [f"{clip}/{preset}/{route}" for clip in CLIPS for preset in PRESETS for route in ROUTES]:
        clip, preset, route = case.split("/")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = source_of(clip, folder)
            hashes[case] = BY_ROUTE[route](source, preset, folder)
    print(json.dumps(hashes, indent=1))


def recorded_with() -> dict[str, str]:
    """What the hashes depend on. Products of large matrices are cut to a processor's caches, so sums round as there."""
    import torch

    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if sys.platform == "linux" else []
    processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"torch": torch.__version__.split("+")[0], "machine": platform.machine(), "processor": processor}


def write() -> None:
    """Record the hashes of every recorded case again."""
    path = Path(__file__).with_name("golden_planes.json")
    cases = sorted(json.loads(path.read_text(encoding="utf-8"))["hashes"])
    path.write_text(json.dumps({"with": recorded_with(), "hashes": run(cases)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write() if sys.argv[1:] == ["--write"] else main(sys.argv[1:])

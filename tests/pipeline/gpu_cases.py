"""What the whole pipeline is asked to do on a GPU: a function of the device for each feature, tiny and named.

`cases()` are run on the test device (test_fake_cuda_pipeline.py) and on a real one (test_cuda.py), against the CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deflicker import Settings, deflicker, deflicker_frames
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.solve_oom import SolverWithOomFallback
from deflicker.pipeline.run_context import Models, Run
from tests.assets import drifting, write_video
from tests.fakes import Still, failing
from tests.media.making import frames_of

Frames = list[Any]
Case = Callable[[str], Frames]
"""The frames that come out on a device, as arrays of the CPU."""


class Stop(Exception):
    """Ends a run half-way."""


def pumping(count: int) -> Frames:
    return [(picture * 255).round().astype(np.uint8) for picture in drifting(count, 96, 64)]


def boiling(count: int) -> Frames:
    chance = np.random.default_rng(7)
    coarse = [np.kron(chance.standard_normal((16, 24, 1)), np.ones((4, 4, 1))) for _ in range(count)]
    fine = [chance.standard_normal((64, 96, 1)) for _ in range(count)]
    pictures = zip(drifting(count, 96, 64), coarse, fine, strict=True)
    return [(255 * np.clip(a + 0.03 * b + 0.02 * c, 0, 1)).round().astype(np.uint8) for a, b, c in pictures]


def with_seam(count: int) -> Frames:
    bright = np.array([1.2, 1.0, 0.85])
    return [
        np.clip(frame * (bright if number >= count // 2 else 1), 0, 255).astype(np.uint8)
        for number, frame in enumerate(pumping(count))
    ]


def brief(run: Run) -> Run:
    """A run whose solver takes few steps: the same lines of code, for a tenth of the operations."""
    gains, curve = replace(run.tone.gains, iterations=(3, 2, 2)), replace(run.tone.curve, iterations=(3, 2))
    return replace(run, tone=replace(run.tone, gains=gains, curve=curve))


def settings(device: str, **more: Any) -> Settings:
    return Settings(**{"device": device, "precision": "fp32", "preset": "fast", "codec": None} | more)


def corrected(frames: Sequence[Any], device: str, *, models: Models | None = None, **more: Any) -> Frames:
    models = models or Models(flow=Still(), adjust=brief)
    return list(deflicker_frames(frames, 24, settings(device, **more), models=models))


def of_file(path: Path) -> Frames:
    return [np.concatenate([np.ravel(plane) for plane in frame.planes]) for frame in frames_of(path)]


def file_of(path: Path, frames: Sequence[Any]) -> Path:
    return write_video(path, [frame / 255 for frame in frames], codec="ffv1", pix_fmt="yuv420p")


def by_file(device: str, frames: Sequence[Any], *, guided: bool = False, **more: Any) -> Frames:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = file_of(folder / "in.mkv", frames), folder / "out.mkv"
        if guided:
            steady = [(255 * each).astype(np.uint8) for each in drifting(len(frames), 96, 64, flicker=0)]
            more["guide"] = file_of(folder / "guide.mkv", steady)
        models = Models(flow=Still(), adjust=brief)
        deflicker(source, target, settings(device, **more | {"codec": "ffv1"}), models=models)
        return of_file(target)


def measured(device: str, *, frames: int = 6, lpips: bool = False) -> list[Any]:
    """Every number of a report, before and after, as one array."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = file_of(folder / "in.mkv", pumping(frames))
        report = deflicker(
            source,
            folder / "out.mkv",
            settings(device, codec="ffv1"),
            measure=True,
            lpips=lpips,
            compare=folder / "both.mkv",
            models=Models(flow=Still(), adjust=brief),
        )
    assert report.measures is not None
    found = report.measures.to_dict()["metrics"].values()
    values = [each.get(side) for each in found for side in ("before", "after")]
    return [np.array([np.nan if value is None else value for value in values], float)]


def resumed(device: str) -> Frames:
    """Stopped half-way: what the stages remember goes through a file and back to the device."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = file_of(folder / "in.mkv", boiling(24)), folder / "out.mkv"
        models = Models(flow=Still(), adjust=brief)
        going = settings(device, codec="ffv1", preset="fast", resume=True)

        def tell(step: Any) -> None:
            if step.stage == "frames" and step.frames_done >= 8:
                raise Stop

        try:
            deflicker(source, target, going, models=models, on_progress=tell, checkpoint_s=0)
        except Stop:
            report = deflicker(source, target, going, models=models)
        else:
            raise AssertionError("the run was not stopped")
        assert report.frames == 24
        return of_file(target)


def of_tensors(device: str) -> Frames:
    """Tensors that lie on the device come back on it."""
    given = [torch.from_numpy(frame).permute(2, 0, 1).float().div(255).to(device) for frame in pumping(9)]
    found = corrected(given, device)
    assert {each.device.type for each in found} == {device}
    return [each.cpu().numpy() for each in found]


def out_of_memory(device: str) -> Frames:
    """No room to solve, with look-ahead or without: the CPU does it."""
    error = torch.OutOfMemoryError("CUDA out of memory")
    times = 0 if device == "cpu" else 2
    solver = SolverWithOomFallback(failing(solve, error, times=times))
    return corrected(pumping(9), device, models=Models(flow=Still(), solver=solver, adjust=brief))


def out_of_memory_elsewhere(device: str) -> Frames:
    """No room for texture, held or averaged, for overlays, nor to apply corrections: the CPU does each."""

    def full(run: Run) -> Run:
        run = brief(run)
        if device != "cpu":
            for fallback in (run.texturing, run.applying, run.holding):
                fallback.level = len(fallback._fallbacks)
        return run

    return corrected(boiling(8), device, preset="balanced", models=Models(flow=Still(), adjust=full))


QUICK: dict[str, Case] = {
    "seam and cut": lambda device: corrected([*with_seam(16), *(255 - each for each in pumping(5))], device),
    "balanced": lambda device: corrected(boiling(7), device, preset="balanced"),
    "metrics": measured,
}
LONG: dict[str, Case] = {
    "fast": lambda device: corrected(pumping(9), device),
    "anchor": lambda device: corrected(pumping(14), device, anchor=1.0),
    "tensors": of_tensors,
    "out of memory": out_of_memory,
    "hold": lambda device: corrected(boiling(7), device, preset="balanced", texture="hold"),
    "floats": lambda device: corrected([(each / 255).astype(np.float32) for each in pumping(6)], device),
    "file": lambda device: by_file(device, pumping(9)),
    "out of memory elsewhere": out_of_memory_elsewhere,
    "latents": lambda device: corrected(boiling(6), device, preset="quality", space="both"),
    "guide": lambda device: by_file(device, boiling(9), guided=True, preset="balanced"),
    "quality": lambda device: corrected(boiling(10), device, preset="quality"),
    "network": lambda device: corrected(pumping(9), device, models=Models(adjust=brief)),
    "network in half precision": lambda device: corrected(
        pumping(9), device, precision="bf16", models=Models(adjust=brief)
    ),
    "LPIPS": lambda device: measured(device, lpips=True),
    "resumed": resumed,
}

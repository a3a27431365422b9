"""`Deflicker`: networks loaded once, several threads at a time, stopping, and what is told of each window."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deflicker import Cancelled, Deflicker, Settings, WindowReport
from deflicker.pipeline.run_context import Models
from tests.assets import drifting, make_video
from tests.fakes import Still

STILL = Models(flow=Still())
FAST = Settings(preset="fast", device="cpu", precision="fp32", encoder_preset="ultrafast")


def codes(count: int, seed: int = 0) -> list[Any]:
    gain = 1 + 0.1 * np.random.default_rng(seed).standard_normal(count)
    steady = drifting(count, 64, 48, flicker=0)
    return [(255 * np.clip(p * g, 0, 1)).astype(np.uint8) for p, g in zip(steady, gain, strict=True)]


def shaking(frames: Any) -> float:
    return float(np.abs(np.diff([float(np.asarray(frame, float).mean()) for frame in frames], 2)).mean())


@pytest.mark.usefixtures("raft")
def test_networks_are_loaded_once(clip: Path, tmp_path: Path) -> None:
    deflicker, steps = Deflicker(FAST), []
    frames = codes(6)
    assert shaking(list(deflicker(frames))) < 0.3 * shaking(frames)
    assert deflicker.file(clip, tmp_path / "out.mp4", on_progress=steps.append).frames_changed >= 10
    assert "weights" not in {step.stage for step in steps}


@pytest.mark.usefixtures("raft")
def test_two_threads_at_once_get_what_each_gets_alone() -> None:
    deflicker = Deflicker(FAST)
    videos = [codes(6, seed) for seed in (1, 2)]
    alone = [list(deflicker(video)) for video in videos]
    barrier = threading.Barrier(2)

    def work(video: list[Any]) -> list[Any]:
        barrier.wait()
        return list(deflicker(video))

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, videos))
    for one, other in zip(alone, together, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert not (alone[0][0] == alone[1][0]).all()


def test_windows_are_told_of(clip: Path, tmp_path: Path) -> None:
    windows: list[WindowReport] = []
    deflicker = Deflicker(FAST, STILL)
    given = codes(40)
    list(deflicker(given, on_window=windows.append))
    assert sum(window.frames for window in windows) == 40
    assert [window.first_frame for window in windows] == [0, *np.cumsum([w.frames for w in windows])[:-1]]
    assert len(windows) >= 2
    assert [window.opens_shot for window in windows] == [True] + [False] * (len(windows) - 1)
    assert all(w.flicker_before and w.flicker_after for w in windows)
    assert windows[0].flicker_after.whole < 0.3 * windows[0].flicker_before.whole  # type: ignore[union-attr]
    windows.clear()
    report = deflicker.file(clip, tmp_path / "out.mp4", on_window=windows.append)
    assert [window.frames for window in windows] == [report.frames]


def test_a_run_can_be_stopped_from_outside(tmp_path: Path) -> None:
    clip, stop = make_video(tmp_path / "in.mp4", frames=60), threading.Event()
    deflicker = Deflicker(FAST, STILL)
    with pytest.raises(Cancelled, match="on request"):
        deflicker.file(clip, tmp_path / "out.mp4", cancel=stop, on_window=lambda _: stop.set())
    assert os.listdir(tmp_path) == ["in.mp4"]
    with pytest.raises(Cancelled):
        next(deflicker(codes(5), cancel=stop))


def test_it_can_be_awaited(clip: Path, tmp_path: Path) -> None:
    async def both() -> list[int]:
        deflicker = Deflicker(Settings(strength=0))
        jobs = (asyncio.to_thread(deflicker.file, clip, tmp_path / f"{name}.mp4") for name in "ab")
        return [report.frames for report in await asyncio.gather(*jobs)]

    assert asyncio.run(both()) == [12, 12]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_images_of_pillow(mode: str) -> None:
    frames = [Image.fromarray(code).convert(mode) for code in codes(10)]
    steady = list(Deflicker(FAST, STILL)(frames))
    assert {(type(image), image.mode, image.size) for image in steady} == {(Image.Image, mode, (64, 48))}
    assert shaking([image.convert("RGB") for image in steady]) < 0.3 * shaking([i.convert("RGB") for i in frames])
    same = list(Deflicker(FAST, STILL)([np.asarray(image) for image in frames]))
    assert all((np.asarray(a) == b).all() for a, b in zip(steady, same, strict=True))
    with pytest.raises(ValueError, match="mode L"):
        next(Deflicker(FAST, STILL)([frames[0].convert("L")]))


@pytest.mark.usefixtures("raft")
def test_frames_as_pipelines_of_diffusers_give_them() -> None:
    video = np.stack(codes(6)).astype(np.float32) / 255
    deflicker = Deflicker(FAST)
    arrays = np.stack([video, video])  # output_type="np": [B, F, H, W, 3] in 0 … 1
    steady = np.stack([np.stack(list(deflicker(each))) for each in arrays])
    assert (steady.shape, steady.dtype) == (arrays.shape, arrays.dtype)
    assert shaking(steady[0]) < 0.3 * shaking(video)
    tensors = torch.from_numpy(arrays[:1]).permute(0, 1, 4, 2, 3)  # output_type="pt": [B, F, 3, H, W]
    stacked = torch.stack([torch.stack(list(deflicker(each))) for each in tensors])
    assert stacked.shape == tensors.shape
    assert np.abs(stacked[0].permute(0, 2, 3, 1).numpy() - steady[0]).max() < 0.002
    images = [[Image.fromarray(code) for code in codes(6)]]  # output_type="pil": a list of lists
    assert shaking(list(deflicker(images[0]))) < 0.3 * shaking(video) * 255

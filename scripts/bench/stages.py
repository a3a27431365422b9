"""Frames a second of each stage alone: which one the others wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from deflicker import engine
from deflicker.correction.stream import correct
from deflicker.media.frame import Frame
from deflicker.media.reader import Reader
from deflicker.media.writer import Writer
from deflicker.memory import BATCH_FRAMES
from deflicker.motion.track import track
from deflicker.settings import Settings

T = TypeVar("T")
FRAMES = 48
"""Frames on which stages are timed; they are all held in memory."""


def stages(source: Path, target: Path, preset: str, device: str) -> dict[str, float]:
    """Frames a second of each stage, one after the other, each on all the frames of the stage before."""
    settings = Settings(preset=preset, device=device, overwrite=True)  # type: ignore[arg-type]
    clock = _Clock()
    with Reader(source) as reader:
        info = reader.info
        size = engine.frame_bytes(info.width, info.height, info.layout)
        loaded = engine.Engine.load(info.width, info.height, size, settings, lambda _: None)
        plan, flow, where = loaded.preset, loaded.flow, loaded.device.torch_device
        frames = clock.time("decode", lambda: list(islice(reader.frames(), FRAMES)))
        proxies = clock.time("proxies", lambda: list(engine.with_proxies(frames, info.layout, plan, where)))
        list(track(proxies[:3], flow))  # the first call of a network is slower
        tracked = clock.time("flow", lambda: list(track(proxies, flow, batch_frames=BATCH_FRAMES)))
        corrected = clock.time("solve", lambda: list(correct(tracked, plan)))
        relit = clock.time("apply", lambda: [engine.relit(c.item, info.layout, c.correction) for c in corrected])
        clock.time("encode", lambda: _encode(Writer(target, info, settings), relit))
    return {name: len(frames) / max(seconds, 1e-9) for name, seconds in clock.seconds.items()}


def _encode(writer: Writer, frames: Iterable[Frame]) -> None:
    """Every frame, and what the encoder still holds at the end."""
    with writer:
        for frame in frames:
            writer.write(frame)


class _Clock:
    """Times named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, step: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds[name] = time.perf_counter() - started
        return result

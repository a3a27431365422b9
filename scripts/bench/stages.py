"""Frames a second of each stage alone: which one the others wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from deflicker.core.memory import BATCH_FRAMES
from deflicker.core.settings import Settings
from deflicker.correction.apply import Correction
from deflicker.correction.texture.stabilize import steady
from deflicker.correction.tone.windows import correct
from deflicker.media.frame import Frame
from deflicker.media.reader import Reader
from deflicker.media.writer import Writer
from deflicker.motion.tracking import track
from deflicker.pipeline import engine
from deflicker.pipeline import stages as steering

T = TypeVar("T")
NAMES = ("decode", "proxies", "flow", "solve", "texture", "apply", "encode")
FRAMES = 48
"""Frames on which stages are timed; they are all held in memory."""


def stages(source: Path, target: Path, preset: str, device: str, codec: str | None = None) -> dict[str, float]:
    """Frames a second of each stage, one after the other, each on all the frames of the stage before.

    Presets that leave texture alone have no such stage.
    """
    settings = Settings(preset=preset, device=device, codec=codec, overwrite=True)  # type: ignore[arg-type]
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
        corrected = clock.time("solve", lambda: list(correct(tracked, plan, settings)))

        def luma(frame: Frame, correction: Correction | None) -> Tensor:
            return engine.luma_of(frame, info.layout, correction, plan.texture_max_side_px, where)

        def colours(frame: Frame, correction: Correction | None) -> Tensor:
            return engine.colours_of(frame, info.layout, correction, plan.texture_max_side_px, where)

        if reach := steering.texture_reach(plan, settings):
            toned = corrected
            corrected = clock.time("texture", lambda: list(steady(toned, luma, reach=reach, colours_of=colours)))
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

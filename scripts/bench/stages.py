"""Frames a second of each stage alone: which one the others wait for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from deflicker.core.settings import Settings
from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame
from deflicker.media.reader import Reader
from deflicker.media.writer import Writer
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import Step, TimedStage, build_steps, records, run_stages

T = TypeVar("T")
NAMES = ("decode", "proxies", "flow", "solve", "texture", "apply", "encode")
STAGES = {"motion": "flow", "tone": "solve", "texture": "texture"}
"""Names of the stages here."""
FRAMES = 48
"""Frames on which stages are timed; they are all held in memory."""


def stages(source: Path, target: Path, settings: Settings, models: Models | None = None) -> dict[str, float]:
    """Frames a second of each stage, all in one thread.

    Presets that leave texture alone have no such stage.
    """
    clock = _Clock()
    with Reader(source) as reader:
        info = reader.info
        run = Run.prepare(VideoSize.of(info), settings, models, lambda _: None)
        size, where = run.proxy_size, run.device.torch_device
        frames = clock.time("decode", lambda: list(islice(reader.frames(), FRAMES)))
        pictures = [DecodedPicture.of(frame, info.layout) for frame in frames]
        given = clock.time("proxies", lambda: list(records(pictures, size, where)))
        run.flow.features(given[0].proxy[None])  # the first call of a network is slower
        steps = [Step(step.name, TimedStage(step.stage)) for step in build_steps(run, info)]
        found = list(run_stages(given, steps, where, threads=False))
        for step in steps:
            if isinstance(step.stage, TimedStage) and step.name in STAGES:
                clock.seconds[STAGES[step.name]] = step.stage.seconds
        done = [each for each in found if isinstance(each, FrameRecord)]
        changed = clock.time(
            "apply",
            lambda: [picture.corrected(each.correction) for picture, each in zip(pictures, done, strict=True)],
        )
        clock.time("encode", lambda: _encode(Writer(target, info, settings.encoding()), changed))
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

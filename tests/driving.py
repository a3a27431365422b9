"""Stages driven by hand: frames in, frames out, in the caller's thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from deflicker.core.blocks import Indexed
from deflicker.core.presets import Preset
from deflicker.correction.texture.pictures import Sight
from deflicker.correction.texture.stabilize import TextureStage
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.correction.tone.windows import ToneStage
from deflicker.correction.types import FrameRecord
from deflicker.motion.flashes import FlashStage
from deflicker.motion.tracking import ShotTracker


@dataclass(frozen=True, eq=False)
class Shown(Indexed):
    """A picture that is a tensor `[3, H, W]`, or `[H, W]` for a grey one."""

    index: int
    value: torch.Tensor

    def rgb(self, size: tuple[int, int], device: torch.device) -> torch.Tensor:
        assert tuple(self.value.shape[-2:]) == size
        return self.value.expand(3, *size)


def record(picture: Any, proxy: torch.Tensor, look: torch.Tensor | None = None, skip: Any = None) -> FrameRecord:
    """A frame as it goes into the stages. look: where motion is found, if not in the proxy."""
    return FrameRecord(picture=picture, proxy=proxy, motion_proxy=None if look is proxy else look, skip=skip)


def drive(stage: Any, records: Iterable[Any]) -> Iterator[Any]:
    for each in records:
        yield from stage.push(each)
    yield from stage.finish()


def track(frames: Iterable[Any], flow: Any, **options: Any) -> Iterator[Any]:
    """frames: records, or pairs of a picture and its proxy."""
    records = (each if isinstance(each, FrameRecord) else record(*each) for each in frames)
    return drive(ShotTracker[FrameRecord](flow, **options), records)


def find_flashes(frames: Iterable[Any], *, sure: bool = False) -> Iterator[Any]:
    return drive(FlashStage[FrameRecord](sure=sure), frames)


def correct(frames: Iterable[Any], preset: Preset, anchor: float = 0.0, **more: Any) -> Iterator[Any]:
    return drive(ToneStage(ToneOptions.of(preset, anchor), **more), frames)


def stabilize(frames: Iterable[Any], size: tuple[int, int], reach: int, **options: Any) -> Iterator[Any]:
    return drive(TextureStage(Sight(size, torch.device("cpu"), reach), **options), frames)

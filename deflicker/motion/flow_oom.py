"""Flow on a GPU that may run out of memory: fewer frames at once, then at half the size, then on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import stored
from deflicker.core.oom import OomFallback
from deflicker.motion.tracking import Flow

_FEWER, _HALF, _CPU = 1, 2, 3


@stored
@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame's features, and the frame, should others be needed."""

    frame: Tensor
    features: Any
    form: int
    """Of the features: those of half the size, or of the CPU, go with others of their kind only."""


class SparingFlow:
    """A flow network that steps down where memory ends. What a frame was seen as before is made anew then."""

    def __init__(self, network: Flow, on_cpu: Callable[[], Flow]) -> None:
        """on_cpu: loads the same network for the CPU; called once at most."""
        self._network, self._load, self._spare = network, on_cpu, network
        self._fallback = OomFallback("flow", ("one frame at a time", "at half the size", "on the CPU"))

    def features(self, frames: Tensor) -> list[_Seen]:
        """As `FlowEstimator.features`."""
        return self._fallback.run(lambda level: self._features(frames, level))

    def flow(self, first: Sequence[_Seen], second: Sequence[_Seen]) -> tuple[Tensor, Tensor]:
        """As `FlowEstimator.flow`."""
        return self._fallback.run(lambda level: self._flow(first, second, level))

    def _features(self, frames: Tensor, level: int) -> list[_Seen]:
        form, network = (level if level > _FEWER else 0), self._at(level)
        shown = frames.cpu() if level == _CPU else frames
        if level == _HALF:
            shown = F.interpolate(shown, scale_factor=0.5, mode="area", recompute_scale_factor=True)
        found = (
            [one for part in torch.split(shown, 1) for one in network.features(part)]
            if level
            else network.features(shown)
        )
        return [_Seen(frame, features, form) for frame, features in zip(frames, found, strict=True)]

    def _flow(self, first: Sequence[_Seen], second: Sequence[_Seen], level: int) -> tuple[Tensor, Tensor]:
        form, network = (level if level > _FEWER else 0), self._at(level)

        def fit(seen: _Seen) -> Any:
            return seen.features if seen.form == form else self._features(seen.frame[None], level)[0].features

        pairs = [([fit(a)], [fit(b)]) for a, b in zip(first, second, strict=True)] if level else []
        found = (
            [network.flow(*pair) for pair in pairs]
            if level
            else [network.flow([fit(each) for each in first], [fit(each) for each in second])]
        )
        there, back = (torch.cat(each).to(first[0].frame.device) for each in zip(*found, strict=True))
        if level == _HALF:
            there, back = (_enlarged(each, first[0].frame.shape[-2:]) for each in (there, back))
        return there, back

    def _at(self, level: int) -> Flow:
        if level == _CPU and self._spare is self._network:
            self._spare = self._load()
        return self._spare if level == _CPU else self._network


def _enlarged(flow_px: Tensor, size: torch.Size) -> Tensor:
    """Flow `[B, 2, h, w]` at another size, in its pixels."""
    scale = flow_px.new_tensor([size[1] / flow_px.shape[-1], size[0] / flow_px.shape[-2]]).view(1, 2, 1, 1)
    return F.interpolate(flow_px, size=tuple(size), mode="bilinear", align_corners=False) * scale

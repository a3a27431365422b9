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
from deflicker.motion.warp import resize_flow

_FEWER, _HALF, _CPU = 1, 2, 3


@stored
@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """A frame's features, and the frame, should others be needed."""

    frame: Tensor
    features: Any
    form: int
    """Of the features: those of half the size, or of the CPU, go with others of their kind only."""


class FlowWithOomFallback:
    """A flow network that steps down where memory ends. Cached features of another kind are computed again."""

    def __init__(self, network: Flow, on_cpu: Callable[[], Flow]) -> None:
        """on_cpu: loads the same network for the CPU; called once at most."""
        self._network, self._load_on_cpu, self._on_cpu = network, on_cpu, network
        self._fallback = OomFallback("flow", ("one frame at a time", "at half the size", "on the CPU"))

    def features(self, frames: Tensor) -> list[CachedFeatures]:
        """As `FlowEstimator.features`."""
        return self._fallback.run(lambda level: self._features(frames, level))

    def flow(self, first: Sequence[CachedFeatures], second: Sequence[CachedFeatures]) -> tuple[Tensor, Tensor]:
        """As `FlowEstimator.flow`."""
        return self._fallback.run(lambda level: self._flow(first, second, level))

    def _features(self, frames: Tensor, level: int) -> list[CachedFeatures]:
        form, network = (level if level > _FEWER else 0), self._at(level)
        shown = frames.cpu() if level == _CPU else frames
        if level == _HALF:
            shown = F.interpolate(shown, scale_factor=0.5, mode="area", recompute_scale_factor=True)
        found = (
            [one for part in torch.split(shown, 1) for one in network.features(part)]
            if level
            else network.features(shown)
        )
        return [CachedFeatures(frame, features, form) for frame, features in zip(frames, found, strict=True)]

    def _flow(
        self, first: Sequence[CachedFeatures], second: Sequence[CachedFeatures], level: int
    ) -> tuple[Tensor, Tensor]:
        form, network = (level if level > _FEWER else 0), self._at(level)

        def fit(cached: CachedFeatures) -> Any:
            return cached.features if cached.form == form else self._features(cached.frame[None], level)[0].features

        pairs = [([fit(a)], [fit(b)]) for a, b in zip(first, second, strict=True)] if level else []
        found = (
            [network.flow(*pair) for pair in pairs]
            if level
            else [network.flow([fit(each) for each in first], [fit(each) for each in second])]
        )
        there, back = (torch.cat(each).to(first[0].frame.device) for each in zip(*found, strict=True))
        if level == _HALF:
            there, back = (resize_flow(each, first[0].frame.shape[-2:]) for each in (there, back))
        return there, back

    def _at(self, level: int) -> Flow:
        if level == _CPU and self._on_cpu is self._network:
            self._on_cpu = self._load_on_cpu()
        return self._on_cpu if level == _CPU else self._network

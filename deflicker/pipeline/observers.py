"""Watch frames go by, before and after, and measure them: the way from decoded frames to the report's numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.core.settings import Settings
from deflicker.media.color import proxy_of, proxy_size
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.metrics.guardrail_meter import Guarding
from deflicker.metrics.lpips import ALEXNET, Perceptual
from deflicker.metrics.meter import Meter, Seen
from deflicker.motion.tracking import Tracked
from deflicker.pipeline.engine import Engine
from deflicker.report.gallery_builder import WIDTH_PX, Album
from deflicker.report.results import Measures
from deflicker.report.summary import summarise


def load_lpips(settings: Settings, device: torch.device, *, wanted: bool) -> tuple[Perceptual | None, str]:
    """LPIPS, or the reason why there is none. A number that is missing never stops a video."""
    if not wanted:
        return None, "LPIPS was not asked for"
    folder = settings.weights if settings.weights and settings.weights.is_dir() else None
    try:
        return Perceptual(weights.load(ALEXNET, path=folder, offline=settings.offline), device=device), ""
    except (WeightsError, ImportError) as error:
        return None, f"LPIPS cannot be computed: {error}"


class Witness(Protocol):
    """Whoever wants to see a run's frames, as they came and as they go."""

    def follow(self, tracked: Iterator[Tracked[Frame]]) -> Iterator[Tracked[Frame]]:
        """Hand on what comes from tracking, in another thread than `see` is called from."""

    def see(self, before: Frame, after: Frame) -> None:
        """Take the next frame, once each and in order; the same object where nothing was changed."""


def watch_run(engine: Engine, layout: PlaneLayout, settings: Settings, *, lpips: bool) -> Watch:
    """A watch over a correction."""
    perceptual, reason = load_lpips(settings, engine.device.torch_device, wanted=lpips)
    return Watch(engine, layout, pair=True, perceptual=perceptual, no_lpips=reason)


class Watch:
    """Measures one video, or a video before and after.

    `follow` hands on what comes from tracking and remembers it; `see` must then be called once for each frame, in the
    same order, from any one thread.
    """

    def __init__(
        self,
        engine: Engine,
        layout: PlaneLayout,
        *,
        pair: bool,
        perceptual: Perceptual | None = None,
        no_lpips: str = "",
        after_layout: PlaneLayout | None = None,
    ) -> None:
        self._engine, self._layout, self._after_layout = engine, layout, after_layout or layout
        self._pair, self._no_lpips = pair, no_lpips
        self._meter = Meter(2 if pair else 1, perceptual)
        self._tracked: deque[Tracked[Frame]] = deque()
        self._guarding = Guarding(engine.flow, engine.device.torch_device, self._layout, self._after_layout)
        self._last: Tensor | None = None
        self._count = 0
        self._shorter_side_px = 1
        self.album = Album(pair=pair)

    def follow(self, tracked: Iterable[Tracked[Frame]]) -> Iterator[Tracked[Frame]]:
        """The same frames, remembered until `see` has had them."""
        for frame in tracked:
            self._tracked.append(frame)
            yield frame

    def see(self, before: Frame, after: Frame | None = None) -> None:
        """Take the next frame as it came and, of a pair, as it goes: the same object where nothing was changed."""
        tracked, number = self._tracked.popleft(), self._count
        self._count += 1
        proxy = other = tracked.proxy
        size = (proxy.shape[-2], proxy.shape[-1])
        self._shorter_side_px = min(size)
        if after is not None:
            self._guarding.compare(before, after)
            if after is not before:
                other = proxy_of(after, self._after_layout, size, proxy.device)
                if self._last is not None and tracked.forward_px is not None:
                    self._guarding.move(self._last, other, tracked.forward_px)
        self.album.add(number, proxy, other, lambda side: self._picture(after or before if side else before, side))
        if tracked.held or tracked.kept:
            self._meter.hold()
            return
        sides = torch.stack([proxy, other]) if self._pair else proxy[None]
        self._meter.add(Seen(number, sides, tracked.opens_shot, tracked.forward_px, tracked.backward_px))
        self._last = other

    def finish(self, notes: Iterable[str] = ()) -> Measures:
        """Everything measured; nothing may be seen after it."""
        preset = self._engine.preset
        how = [f"measured on pictures of {preset.flow_max_side_px} px, flow of {preset.flow_network}"]
        return summarise(
            self._meter.finish(),
            self._guarding.values() if self._pair else {},
            shorter_side_px=self._shorter_side_px,
            no_lpips=self._no_lpips,
            notes=(*how, *notes),
        )

    def _picture(self, frame: Frame, side: int) -> Tensor:
        layout = self._layout if side == 0 else self._after_layout
        height, width = frame.planes[0].shape
        return proxy_of(frame, layout, proxy_size(height, width, WIDTH_PX), torch.device("cpu"))

"""Watch frames go by, before and after, and measure them: the way from decoded frames to the report's numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from deflicker import weights
from deflicker.engine import Engine, proxy_of
from deflicker.errors import WeightsError
from deflicker.media.color import as_tensors, luma_range, normalise, proxy_size
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.metrics import guards
from deflicker.metrics.meter import Meter, Seen
from deflicker.metrics.perceptual import Perceptual
from deflicker.motion.track import Tracked
from deflicker.pictures import WIDTH_PX, Album
from deflicker.report.measures import Measures
from deflicker.settings import Settings
from deflicker.summing import summarise

_DETAIL_EVERY, _STRUCTURE_EVERY, _MOTION_EVERY = 4, 16, 32
"""Every how many frames sharpness is measured, SSIM, and the motion of the result: these cost most."""


def load_lpips(settings: Settings, device: torch.device, *, wanted: bool) -> tuple[Perceptual | None, str]:
    """LPIPS, or the reason why there is none. A number that is missing never stops a video."""
    if not wanted:
        return None, "LPIPS was not asked for"
    folder = settings.weights if settings.weights and settings.weights.is_dir() else None
    try:
        return Perceptual(weights.load("lpips_alex", path=folder, offline=settings.offline), device=device), ""
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
        self._guards = _Guards()
        self._before: Tensor | None = None
        self._after: Tensor | None = None
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
        proxy = tracked.proxy
        size = (proxy.shape[-2], proxy.shape[-1])
        self._shorter_side_px = min(size)
        changed = after is not None and after is not before
        other = proxy_of(after, self._after_layout, size, proxy.device) if after is not None and changed else proxy
        if after is not None:
            self._guard(number, before, after, tracked, proxy, other)
        self.album.add(number, proxy, other, lambda side: self._picture(before if side == 0 else after or before, side))
        if tracked.held:
            self._meter.hold()
        else:
            sides = torch.stack([proxy, other]) if self._pair else proxy[None]
            self._meter.add(Seen(number, sides, tracked.opens_shot, tracked.forward_px, tracked.backward_px))
            self._before, self._after = proxy, other

    def finish(self, notes: Iterable[str] = ()) -> Measures:
        """Everything measured; nothing may be seen after it."""
        preset = self._engine.preset
        how = [f"measured on pictures of {preset.flow_max_side_px} px, flow of {preset.flow_network}"]
        return summarise(
            self._meter.finish(),
            self._guards.values() if self._pair else {},
            shorter_side_px=self._shorter_side_px,
            no_lpips=self._no_lpips,
            notes=(*how, *notes),
        )

    def _picture(self, frame: Frame, side: int) -> Tensor:
        layout = self._layout if side == 0 else self._after_layout
        height, width = frame.planes[0].shape
        return proxy_of(frame, layout, proxy_size(height, width, WIDTH_PX), torch.device("cpu"))

    def _guard(
        self, number: int, before: Frame, after: Frame, tracked: Tracked[Frame], proxy: Tensor, other: Tensor
    ) -> None:
        """The guards at the video's own size, some of them on every so many frames only."""
        self._guards.samples += sum(plane.size for plane in before.planes)
        if after is before:
            self._guards.errors.append(torch.zeros(()))
            if number % _DETAIL_EVERY == 0:
                self._guards.same_detail += 1
            return
        same_shape = [a.shape for a in before.planes] == [b.shape for b in after.planes]
        device = self._engine.device.torch_device
        old, new = _luma(before, self._layout, device), _luma(after, self._after_layout, device)
        if old.shape != new.shape:
            new = torch.nn.functional.interpolate(new[None, None], size=old.shape, mode="area")[0, 0]
        if same_shape and self._layout == self._after_layout:
            pairs = zip(before.planes, after.planes, strict=True)
            self._guards.changed += sum(int((a != b).sum()) for a, b in pairs)
        else:
            self._guards.changed += int((old != new).float().mean() * sum(plane.size for plane in before.planes))
        self._guards.errors.append(guards.squared_error(old, new).cpu())
        if number % _DETAIL_EVERY == 0:
            self._guards.detail.append(torch.stack([guards.detail(old), guards.detail(new)]).cpu())
        if number % _STRUCTURE_EVERY == 0:
            self._guards.ssim.append(guards.ssim(old, new).cpu())
        last = self._after
        if number % _MOTION_EVERY == 8 and tracked.forward_px is not None and last is not None:
            features = self._engine.flow.features(torch.stack([last, other]))
            forward, _ = self._engine.flow.flow(features[:1], features[1:])
            lengths = [flow.square().sum(0).sqrt().mean() for flow in (tracked.forward_px, forward[0])]
            self._guards.motion.append(torch.stack(lengths).cpu())


class _Guards:
    """What the guards add up."""

    def __init__(self) -> None:
        self.samples = self.changed = self.same_detail = 0
        self.errors: list[Tensor] = []
        self.detail: list[Tensor] = []
        self.ssim: list[Tensor] = []
        self.motion: list[Tensor] = []

    def values(self) -> dict[str, float | None]:
        detail = torch.stack(self.detail) if self.detail else None
        motion = torch.stack(self.motion) if self.motion else None
        untouched = not self.changed
        return {
            "sharpness": _ratio(guards.sharpness_ratio, detail, untouched),
            "motion": _ratio(guards.motion_ratio, motion, untouched),
            "psnr": float(guards.psnr(torch.stack(self.errors))) if self.errors else None,
            "ssim": float(torch.stack(self.ssim).mean()) if self.ssim else 1.0 if untouched else None,
            "changed": 100 * self.changed / self.samples if self.samples else None,
        }


def _ratio(of: object, pairs: Tensor | None, untouched: bool) -> float | None:
    if pairs is None:
        return 1.0 if untouched else None
    value = float(of(pairs[:, 0], pairs[:, 1]))  # type: ignore[operator]
    return None if value != value else value


def _luma(frame: Frame, layout: PlaneLayout, device: torch.device) -> Tensor:
    """Luma at the frame's own size, in code values of 255 with black at 0."""
    if layout.family != "rgb":
        black, span = luma_range(layout)
        return (torch.as_tensor(frame.planes[0]).to(device).float() - black) * (255 / span)
    green, blue, red = normalise(as_tensors(frame.planes, layout, device), layout)
    return 255 * (0.2126 * red + 0.7152 * green + 0.0722 * blue)

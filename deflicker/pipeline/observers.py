"""What looks on while a run goes: measuring, window reports and progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.types import FrameRecord
from deflicker.media.color import proxy_of, proxy_size
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.metrics.flicker import FlickerSums
from deflicker.metrics.guardrail_meter import GuardrailMeter
from deflicker.metrics.lpips import ALEXNET, Perceptual
from deflicker.metrics.meter import MeasuredPicture, VideoMeter
from deflicker.motion.tracking import Flow
from deflicker.pipeline.run_context import Run
from deflicker.report.gallery_builder import WIDTH_PX, GalleryBuilder
from deflicker.report.model import Flicker, WindowReport
from deflicker.report.observer import Observer
from deflicker.report.results import Measures
from deflicker.report.summary import build_results

OnWindow = Callable[[WindowReport], None]


@dataclass(frozen=True, eq=False)
class Lpips:
    """LPIPS, or the reason why there is none. A number that is missing never stops a video."""

    network: Perceptual | None = None
    missing: str = "LPIPS was not asked for"

    @classmethod
    def load(cls, settings: Settings, device: torch.device) -> Lpips:
        """Its weights, fetched where they may be."""
        folder = settings.weights if settings.weights and settings.weights.is_dir() else None
        try:
            return cls(Perceptual(weights.load(ALEXNET, path=folder, offline=settings.offline), device=device), "")
        except (WeightsError, ImportError) as error:
            return cls(None, f"LPIPS cannot be computed: {error}")


class MeasureObserver(Observer):
    """Measures one video, or a video before and after."""

    def __init__(self, flow: Flow, device: torch.device, layouts: Sequence[PlaneLayout], lpips: Lpips) -> None:
        """layouts: of the frames before and, of a pair, after."""
        self._layouts, self._no_lpips = (layouts[0], layouts[-1]), lpips.missing
        self._pair = len(layouts) > 1
        self._meter = VideoMeter(len(layouts), lpips.network)
        self._guardrails = GuardrailMeter(flow, device, *self._layouts)
        self._last: Tensor | None = None
        self._count = 0
        self._shorter_side_px = 1
        self.gallery = GalleryBuilder(pair=self._pair)

    def on_written(self, record: FrameRecord, before: Frame, after: Frame | None) -> None:
        """Take the next frame as it came and, of a pair, as it goes: the same object where nothing was changed."""
        number, self._count = self._count, self._count + 1
        proxy = other = record.proxy
        size = (proxy.shape[-2], proxy.shape[-1])
        self._shorter_side_px = min(size)
        if after is not None:
            self._guardrails.compare(before, after)
            if after is not before:
                other = proxy_of(after, self._layouts[1], size, proxy.device)
                if self._last is not None and record.forward_px is not None:
                    self._guardrails.compare_motion(self._last, other, record.forward_px)
        seconds = float(before.pts * before.time_base)
        self.gallery.add(
            number, proxy, other, lambda side: self._picture(after or before if side else before, side), time_s=seconds
        )
        if not record.is_picture:
            self._meter.skip_duplicate()
            return
        sides = torch.stack([proxy, other]) if self._pair else proxy[None]
        self._meter.add(MeasuredPicture(number, sides, record.starts_shot, record.forward_px, record.backward_px))
        self._last = other

    def measures(self, preset: Preset) -> Measures:
        """Everything measured; nothing may be seen after it. preset: whose proxies and flow they are."""
        return build_results(
            self._meter.finish(),
            self._guardrails.values() if self._pair else {},
            shorter_side_px=self._shorter_side_px,
            no_lpips=self._no_lpips,
            notes=(f"measured on pictures of {preset.flow_max_side_px} px, flow of {preset.flow_network}",),
        )

    def _picture(self, frame: Frame, side: int) -> Tensor:
        height, width = frame.planes[0].shape
        size = proxy_size(height, width, WIDTH_PX)
        return proxy_of(frame, self._layouts[side], size, torch.device("cpu"))


def measure_observer(run: Run, *layouts: PlaneLayout, lpips: bool) -> MeasureObserver:
    """What measures with the networks of a run.

    layouts: of the frames before and, of a pair, after. lpips: also what needs LPIPS.
    """
    device = run.device.torch_device
    found = Lpips.load(run.settings, device) if lpips else Lpips()
    return MeasureObserver(run.flow, device, layouts, found)


class WindowReporter(Observer):
    """Tells what each window of frames came to, once its last frame is decided."""

    def __init__(self, on_window: OnWindow) -> None:
        self._on_window = on_window
        self._window: list[FrameRecord] = []
        self._count = 0

    def on_decided(self, record: FrameRecord) -> None:
        """Take the next frame."""
        if self._window and (record.flicker_before is not None or record.starts_shot):
            self.on_end()
        self._window.append(replace(record, picture=None))
        self._count += 1

    def on_end(self) -> None:
        """Tell of the window that has ended."""
        window, self._window = self._window, []
        if not window:
            return
        report = WindowReport(
            first_frame=self._count - len(window),
            frames=len(window),
            frames_corrected=sum(record.correction is not None for record in window),
            opens_shot=window[0].starts_shot,
            flicker_before=flicker_of(window[0].flicker_before),
            flicker_after=flicker_of(window[0].flicker_after),
        )
        self._on_window(report)


class ProgressReporter(Observer):
    """Tells how many frames are decided."""

    def __init__(self, on_progress: OnProgress, frames_total: int | None) -> None:
        self._on_progress, self._total, self._count = on_progress, frames_total, 0

    def on_decided(self, record: FrameRecord) -> None:
        """Take the next frame."""
        self._count += 1
        self._on_progress(Progress("frames", self._count, self._total))

    def on_end(self) -> None:
        """Tell that the file is finished."""
        self._on_progress(Progress("finish", self._count, self._count))


def flicker_of(sums: FlickerSums | None) -> Flicker | None:
    found = sums.index() if sums is not None else None
    return Flicker(*found) if found else None

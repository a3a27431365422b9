"""From a video's decoded frames to their corrections: what each stage looks at of a frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from deflicker.correction.apply import Correction
from deflicker.correction.renewal import Renewal
from deflicker.correction.stream import Corrected
from deflicker.engine import Engine, colours_of, luma_of
from deflicker.media.color import proxy_size
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.motion.track import Given
from deflicker.settings import Settings
from deflicker.steering import decide, renewal_of


@dataclass(frozen=True, eq=False)
class Deciding:
    """How the frames of one video are decided."""

    info: VideoInfo
    engine: Engine
    settings: Settings

    def luma(self, frame: Frame, correction: Correction | None) -> Tensor:
        """See `steady`."""
        return luma_of(frame, self.info.layout, correction, *self._look)

    def colours(self, frame: Frame, correction: Correction | None) -> Tensor:
        """See `steady`."""
        return colours_of(frame, self.info.layout, correction, *self._look)

    @property
    def _look(self) -> tuple[Any, Any]:
        return self.engine.preset.texture_max_side_px, self.engine.device.torch_device

    @property
    def renewal(self) -> Renewal[Frame] | None:
        """See `renewal_of`."""
        return renewal_of(self.engine.codec, self.colours, self.settings)

    def decide(self, given: Iterable[Given[Frame]], **how: Any) -> Generator[Corrected[Frame], None, None]:
        """`steering.decide`, with threads, of frames with their proxies; `how` is further arguments of it."""
        size = proxy_size(self.info.height, self.info.width, self.engine.preset.flow_max_side_px)
        how = {"renewal": self.renewal} | how
        return decide(given, self.luma, self.engine, self.settings, size=size, source=self.info, overlap=True, **how)

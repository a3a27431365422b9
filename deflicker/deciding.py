"""From a video's decoded frames to their corrections: what each stage looks at of a frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from torch import Tensor

from deflicker.correction.apply import Correction
from deflicker.correction.picture import ColoursOf, LumaOf
from deflicker.correction.renewal import Renewal
from deflicker.correction.stream import Corrected
from deflicker.engine import Engine, colours_of, luma_of
from deflicker.media.color import proxy_size
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.motion.track import Given
from deflicker.settings import Settings
from deflicker.steering import decide, renewal_of


class Deciding:
    """How the frames of one video are decided. What it has, it has once: kept progress refers to it by identity."""

    def __init__(self, info: VideoInfo, engine: Engine, settings: Settings) -> None:
        self._info, self._engine, self._settings = info, engine, settings
        layout, side_px, device = info.layout, engine.preset.texture_max_side_px, engine.device.torch_device

        def luma(frame: Frame, correction: Correction | None) -> Tensor:
            return luma_of(frame, layout, correction, side_px, device)

        def colours(frame: Frame, correction: Correction | None) -> Tensor:
            return colours_of(frame, layout, correction, side_px, device)

        self._luma: LumaOf[Frame] = luma
        self._colours: ColoursOf[Frame] = colours
        self._renewal: Renewal | None = renewal_of(engine.codec, settings)

    @property
    def named(self) -> dict[str, object]:
        """Its parts that what is remembered of a run refers to."""
        return {
            **self._engine.named,
            "settings": self._settings,
            "luma": self._luma,
            "colours": self._colours,
            "renewal": self._renewal,
        }

    def decide(self, given: Iterable[Given[Frame]], **how: Any) -> Generator[Corrected[Frame], None, None]:
        """`steering.decide`, with threads, of frames with their proxies; `how` is further arguments of it."""
        return decide(
            given,
            self._luma,
            self._engine,
            self._settings,
            size=proxy_size(self._info.height, self._info.width, self._engine.preset.flow_max_side_px),
            colours_of=self._colours,
            renewal=self._renewal,
            source=self._info,
            overlap=True,
            **how,
        )

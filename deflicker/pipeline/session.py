"""For processes that live long: networks are loaded once and serve many videos, also from several threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Event
from typing import Any

from deflicker.core.settings import Settings
from deflicker.media.destination import Destination
from deflicker.media.source import Source
from deflicker.pipeline.frames import FrameT, deflicker_frames
from deflicker.pipeline.observers import OnWindow
from deflicker.pipeline.run_context import Models
from deflicker.pipeline.video import deflicker
from deflicker.report.model import Report


class Deflicker:
    """Settings, and the networks that they need, loaded when first used and kept.

    ```python
    deflicker = Deflicker(Settings(preset="fast"))
    steady = list(deflicker(frames))
    report = deflicker.file("in.mp4", "out.mp4")
    ```

    Nothing else is kept from one video to the next. Threads may share one.
    """

    def __init__(self, settings: Settings = Settings(), models: Models | None = None) -> None:
        """models: networks loaded before, to be used again."""
        self.settings = settings
        self.models = models or Models()
        """The networks that were loaded."""

    def __call__(
        self,
        frames: Iterable[FrameT],
        fps: float = 24,
        *,
        on_window: OnWindow | None = None,
        cancel: Event | None = None,
    ) -> Iterator[FrameT]:
        """`deflicker_frames` with these settings."""
        return deflicker_frames(frames, fps, self.settings, on_window=on_window, cancel=cancel, models=self.models)

    def file(self, source: Source, target: Destination, **options: Any) -> Report:
        """`deflicker` with these settings; `options` are its own."""
        return deflicker(source, target, self.settings, models=self.models, **options)

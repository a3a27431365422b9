"""What each window of frames came to, told while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from deflicker.correction.types import Corrected
from deflicker.metrics.flicker import FlickerSums
from deflicker.report.model import Flicker, WindowReport

T = TypeVar("T")
OnWindow = Callable[[WindowReport], None]


def watched(frames: Iterable[Corrected[T]], on_window: OnWindow | None) -> Iterator[Corrected[T]]:
    """Hand every frame on, and tell `on_window` of each window once its last frame is decided."""
    if on_window is None:
        yield from frames
        return
    window: list[Corrected[T]] = []
    count = 0
    for frame in frames:
        if window and (frame.before is not None or frame.opens_shot):
            on_window(_told(window, count - len(window)))
            window = []
        window.append(frame)
        count += 1
        yield frame
    if window:
        on_window(_told(window, count - len(window)))


def _told(window: list[Corrected[T]], first_frame: int) -> WindowReport:
    return WindowReport(
        first_frame=first_frame,
        frames=len(window),
        frames_corrected=sum(frame.correction is not None for frame in window),
        opens_shot=window[0].opens_shot,
        flicker_before=_flicker(window[0].before),
        flicker_after=_flicker(window[0].after),
    )


def _flicker(sums: FlickerSums | None) -> Flicker | None:
    found = sums.index() if sums is not None else None
    return Flicker(*found) if found else None

"""What looks on while a run goes."""

from __future__ import annotations

from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame


class Observer:
    """Sees every frame of a run, in order. An exception in it stops the run."""

    def on_decided(self, record: FrameRecord) -> None:
        """What is to be done to a frame is known. Called by the thread that runs the whole."""

    def on_written(self, record: FrameRecord, before: Frame, after: Frame | None) -> None:
        """A frame was written: the same object before and after where nothing was changed, None where there is no
        after. Called by the thread that writes, some frames later.
        """

    def on_end(self) -> None:
        """All frames are decided. Called by the thread that runs the whole."""

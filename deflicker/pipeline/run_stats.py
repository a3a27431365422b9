"""What a run adds up, and the report on it."""

from __future__ import annotations

from deflicker.core.settings import Settings
from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame
from deflicker.media.reader import Reader
from deflicker.media.remux import Remuxed
from deflicker.media.writer import Writer
from deflicker.metrics.flicker import FlickerSums
from deflicker.pipeline.observers import flicker_of
from deflicker.pipeline.run_context import Run
from deflicker.report.frame_notes import SkippedFrames, TextureShots
from deflicker.report.model import Flicker, Report
from deflicker.report.observer import Observer


class RunStats(Observer):
    """What a run adds up."""

    def __init__(self, frames: int = 0) -> None:
        self.frames = frames
        self.shots = self.changed = self.diverged = 0
        self.skipped, self.texture = SkippedFrames(), TextureShots()
        self._before: FlickerSums | None = None
        self._after: FlickerSums | None = None

    def on_decided(self, record: FrameRecord) -> None:
        """Count the next frame."""
        starts = record.starts_shot and record.skip is None
        self.skipped.add(self.frames, record.skip)
        self.texture.add(self.frames, starts, record.texture)
        self.frames += 1
        self.shots += starts
        self.diverged += record.diverged
        before, after = record.flicker_before, record.flicker_after
        if before is not None and after is not None:
            self._before = before if self._before is None else self._before + before
            self._after = after if self._after is None else self._after + after

    def on_written(self, record: FrameRecord, before: Frame, after: Frame | None) -> None:
        """Count the frames that were changed."""
        self.changed += after is not before

    def flicker(self) -> tuple[Flicker | None, Flicker | None]:
        """Before and after."""
        before = flicker_of(self._before)
        return before, flicker_of(self._after) if self.changed else before

    def report(self, reader: Reader, settings: Settings, run: Run | None, output: Writer | Remuxed) -> Report:
        """What happened, but for how long it took."""
        before, after = self.flicker()
        excluded = any(part.why == "excluded" for part in self.skipped.ranges)
        missed = bool(settings.exclude) and settings.strength > 0 and not excluded
        spans = ", ".join(map(str, settings.exclude))
        notes = [f"no frame lies in {spans}, which --exclude names"] if missed else []
        return Report(
            source=str(reader.info.path),
            target="",
            frames=self.frames,
            shots=self.shots,
            frames_changed=self.changed,
            duration_s=reader.info.duration_s or 0.0,
            elapsed_s=0.0,
            device=str(run.device.torch_device) if run else "none",
            device_reason=run.device.reason if run else "strength 0 needs no correction",
            flicker_before=before,
            flicker_after=after,
            codec=output.codec,
            copied=output.copied,
            dropped=output.dropped,
            notes=tuple(dict.fromkeys((*reader.notes, *output.notes, *notes))),
            damage=reader.damage,
            frames_diverged=self.diverged,
            skipped=self.skipped.ranges,
            texture=self.texture.shots,
            settings=settings.words,
        )

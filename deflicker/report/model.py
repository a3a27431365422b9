"""What a run says about itself: while it runs, after it, and before it when asked to plan only."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from deflicker.core.version import versions
from deflicker.report.export import save
from deflicker.report.frame_notes import ShotTexture, SkippedRange
from deflicker.report.gallery import Gallery
from deflicker.report.results import SCHEMA, Document, Measures


@dataclass(frozen=True)
class Flicker:
    """Second difference of tone in time, in code values of 255 (see metrics/flicker.py)."""

    whole: float
    """Of the whole picture's tone."""
    local: float
    """Of the tone of small regions followed along their motion."""


@dataclass(frozen=True)
class WindowReport:
    """What became of one window: frames whose corrections were solved for together."""

    first_frame: int
    frames: int
    frames_corrected: int
    """Frames that got a correction; a correction may be too small to change a sample."""
    opens_shot: bool
    flicker_before: Flicker | None
    """None where there was no pair of frames to compare."""
    flicker_after: Flicker | None


@dataclass(frozen=True)
class Report:
    """What happened to one video."""

    source: str
    target: str
    frames: int
    shots: int
    frames_changed: int
    """Frames that carry a correction; 0 means the source's packets were copied."""
    duration_s: float
    elapsed_s: float
    device: str
    device_reason: str
    flicker_before: Flicker | None
    """None where there was no pair of frames to compare."""
    flicker_after: Flicker | None
    codec: str
    """Encoder of the output's video, or `copy`."""
    copied: tuple[str, ...]
    """Streams and tags carried over untouched, in words."""
    dropped: tuple[str, ...]
    """What the output does not hold, each with its reason."""
    notes: tuple[str, ...]
    """Anything else the user should know."""
    skipped: tuple[SkippedRange, ...] = ()
    """Frames left uncorrected on purpose: those the user excludes, and flashes."""
    texture: tuple[ShotTexture, ...] = ()
    """Shots whose texture was held, or boiled where it may be stabilized in latents; and why."""
    settings: tuple[tuple[str, str], ...] = ()
    """What was asked for, name and value."""
    damage: tuple[tuple[str, int], ...] = ()
    """Damage found in the input, and how often; whatever decodes is still written."""
    frames_diverged: int = 0
    """Frames left uncorrected, wholly or in their texture: the correction found was NaN, infinite or absurd."""
    measures: Measures | None = None
    """None unless it was asked for."""
    gallery: Gallery | None = field(default=None, repr=False, compare=False)

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def to_dict(self) -> Document:
        """Plain values only, ready for JSON (docs/metrics.md); pictures are left out."""
        found = asdict(replace(self, measures=None, gallery=None))
        del found["gallery"]
        return found | {
            "schema": SCHEMA,
            "versions": versions(),
            "frames_per_second": self.frames_per_second,
            "settings": dict(self.settings),
            "damage": dict(self.damage),
            "measures": self.measures.to_dict() if self.measures else None,
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the report as `.html`, `.json` or `.csv`, by the file's extension. Raises OutputError."""
        save(self.to_dict(), self.gallery, Path(path), overwrite=overwrite)


@dataclass(frozen=True)
class Measurement:
    """What was found out about one video as it is, or about two that show the same (`deflicker measure`)."""

    source: str
    other: str | None
    """The second video; None where there is only one."""
    frames: int
    duration_s: float
    elapsed_s: float
    device: str
    device_reason: str
    measures: Measures
    notes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    gallery: Gallery | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> Document:
        """Plain values only, ready for JSON (docs/metrics.md); pictures are left out."""
        found = asdict(replace(self, gallery=None))
        del found["gallery"]
        return found | {
            "schema": SCHEMA,
            "versions": versions(),
            "settings": dict(self.settings),
            "measures": self.measures.to_dict(),
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the report as `.html`, `.json` or `.csv`, by the file's extension. Raises OutputError."""
        save(self.to_dict(), self.gallery, Path(path), overwrite=overwrite)


@dataclass(frozen=True)
class Fvd:
    """Fréchet video distance between two sets of clips (`deflicker fvd`)."""

    real: str
    generated: str
    fvd: float
    real_clips: int
    generated_clips: int
    clip_frames: int
    notes: tuple[str, ...]
    """Why the number may mean little."""

    def to_dict(self) -> Document:
        """Plain values only, ready for JSON."""
        return asdict(self) | {"schema": SCHEMA}


@dataclass(frozen=True)
class Plan:
    """What a run would do (`--dry-run`)."""

    source: str
    target: Path
    video: str
    """The video stream in words: codec, size, rate, pixel format, length."""
    streams: tuple[str, ...]
    """Every other stream in words and what would become of it."""
    shots: tuple[int, ...]
    """First frame of each shot."""
    frames: int
    encoder: str
    device: str
    device_reason: str
    memory_bytes: int
    """Estimated peak."""
    seconds: float
    """Estimated run time on this device, measured on a few frames."""
    notes: tuple[str, ...]

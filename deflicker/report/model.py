"""What a run says about itself: while it runs, after it, and before it when asked to plan only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Progress:
    """One step of a running job."""

    stage: Literal["weights", "scan", "frames", "finish"]
    frames_done: int
    frames_total: int | None
    """What the container says; may be wrong or unknown."""


@dataclass(frozen=True)
class Flicker:
    """Second difference of tone in time, in code values of 255 (see metrics/flicker.py)."""

    whole: float
    """Of the whole picture's tone."""
    local: float
    """Of the tone of small regions followed along their motion."""


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

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for JSON."""
        return asdict(self) | {"frames_per_second": self.frames_per_second}


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

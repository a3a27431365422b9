"""What was measured of a video, or of one before and after: plain numbers, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

SCHEMA = 2
"""Version of the report's fields (docs/metrics.md). Raised when one changes its meaning or goes."""

Document = dict[str, Any]
"""A report as a JSON object, as `to_dict()` gives it (docs/metrics.md)."""

Judgement = Literal["improved", "unchanged", "not improved", "harmed", "steady", "flickers"]


@dataclass(frozen=True)
class Metric:
    """One number, before and after. What it means stands in `report.terms`."""

    name: str
    before: float | None
    """None where it could not be measured; `reason` says why."""
    after: float | None
    """None also where there is only one video."""
    reason: str = ""


@dataclass(frozen=True)
class Guard:
    """One number that must stay within bounds, or the improvement does not count."""

    name: str
    value: float | None
    at_least: float | None
    at_most: float | None
    reason: str = ""
    """Why there is no value."""

    @property
    def holds(self) -> bool:
        """True also where it could not be measured, or has no bounds."""
        if self.value is None:
            return True
        low, high = self.at_least, self.at_most
        return (low is None or self.value >= low) and (high is None or self.value <= high)


@dataclass(frozen=True)
class Verdict:
    """The whole in one word, and why."""

    judgement: Judgement
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Course:
    """Numbers per frame, for plots. All tuples are as long as `frames`; None where a frame has no such number."""

    frames: tuple[int, ...]
    """Numbers of the frames measured; frames that repeat a picture are left out."""
    flicker_before: tuple[float | None, ...]
    """Second difference of the whole picture's luma, code values of 255, without sign."""
    flicker_after: tuple[float | None, ...]
    ewarp_before: tuple[float | None, ...]
    """Mean absolute warping error to the next frame, code values of 255."""
    ewarp_after: tuple[float | None, ...]


@dataclass(frozen=True)
class DriftCurve:
    """Mean LPIPS between frames k apart."""

    lags: tuple[int, ...]
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]


@dataclass(frozen=True)
class Measures:
    """Everything measured."""

    verdict: Verdict
    metrics: tuple[Metric, ...]
    guards: tuple[Guard, ...]
    """Empty where there is only one video."""
    shots: tuple[int, ...]
    """First frame of each shot."""
    seams_before: tuple[int, ...]
    """Frames at which the tone of a shot steps and stays."""
    seams_after: tuple[int, ...]
    course: Course
    drift: DriftCurve
    notes: tuple[str, ...] = ()
    """How it was measured, where that matters."""

    def metric(self, name: str) -> Metric:
        """One metric by its name in `terms.METRICS`. Raises KeyError where there is none of that name."""
        return {metric.name: metric for metric in self.metrics}[name]

    def to_dict(self) -> Document:
        """Plain values only, ready for JSON; metrics and guards by name."""
        found = asdict(self)
        found["metrics"] = {metric.pop("name"): metric for metric in found["metrics"]}
        for guard, plain in zip(self.guards, found["guards"], strict=True):
            plain["holds"] = guard.holds
        found["guards"] = {guard.pop("name"): guard for guard in found["guards"]}
        return found

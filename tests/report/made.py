"""Reports as they might be, without a run."""

from __future__ import annotations

from deflicker.report.gallery import Gallery, Image
from deflicker.report.model import Measurement, Report
from deflicker.report.results import Course, DriftCurve, Guard, Measures, Metric, Verdict
from deflicker.report.terms import LIMITS, METRICS

IMAGE = Image(b"\xff\xd8\xff", 8, 4)
GALLERY = Gallery(IMAGE, IMAGE, 3, 1, IMAGE, IMAGE, IMAGE, 12.5)
ALONE = Gallery(IMAGE, None, 3, 0, IMAGE, None, None, 0.0)


def measures(*, pair: bool = True, reason: str = "") -> Measures:
    after = 0.5 if pair else None
    found = [Metric(name, 2.0, after) for name in METRICS if name != "tcs"] + [
        Metric("tcs", None, None, reason or "few")
    ]
    both = (0.5, None, 0.25)
    return Measures(
        verdict=Verdict("improved" if pair else "flickers", ("flicker of regions (2.00 → 0.50) fell",)),
        metrics=tuple(found),
        guards=tuple(Guard(name, 1.0, *bounds) for name, bounds in LIMITS.items()) if pair else (),
        shots=(0, 2),
        seams_before=(1,),
        seams_after=(),
        course=Course((0, 1, 2), (1.0, None, 3.0), both if pair else (), both, both if pair else ()),
        drift=DriftCurve((1, 2, 4), (0.1, 0.2, None), (0.1, 0.1, None) if pair else ()),
        notes=("measured on small pictures",),
    )


def report(*, source: str = "in.mp4", target: str = "out.mp4", note: str = "", found: Measures | None = None) -> Report:
    return Report(
        source=source, target=target, frames=3, shots=2, frames_changed=2, duration_s=0.12, elapsed_s=1.0,
        device="cpu", device_reason="no GPU", flicker_before=None, flicker_after=None, codec="libx264",
        copied=("audio (aac)",), dropped=("cover.png: mp4 holds none",), notes=(note,) if note else (),
        settings=(("strength", "1.0"), ("codec", "None")), measures=found or measures(), gallery=GALLERY,
    )  # fmt: skip


def measurement(*, other: str | None = None) -> Measurement:
    pair = other is not None
    return Measurement(
        source="in.mp4", other=other, frames=3, duration_s=0.12, elapsed_s=1.0, device="cpu", device_reason="no GPU",
        measures=measures(pair=pair), notes=(), gallery=GALLERY if pair else ALONE,
    )  # fmt: skip

"""From a meter's readings to the report's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from deflicker.metrics.boil import texture_boil
from deflicker.metrics.drift import coherence, slope
from deflicker.metrics.meter import Readings
from deflicker.metrics.per_frame import CHANNELS
from deflicker.metrics.seams import find_seams, seam_period
from deflicker.metrics.vbench import is_static, motion_smoothness, temporal_flickering
from deflicker.report.results import Course, DriftCurve, Guard, Measures, Metric
from deflicker.report.terms import LIMITS, METRICS
from deflicker.report.verdict import judge_one, judge_pair

_FEW = "too few frames"


def summarise(
    readings: Readings,
    guards: dict[str, float | None],
    *,
    shorter_side_px: int,
    no_lpips: str,
    notes: Sequence[str] = (),
) -> Measures:
    """The report's numbers.

    guards: by the names of `terms.GUARDS`, but for those that the readings hold; empty where there is one video only.
    shorter_side_px: of the pictures measured. no_lpips: why LPIPS was not to be had, or nothing.
    """
    sides = len(readings.variance)
    seams = [_seams(readings, side) for side in range(sides)]
    columns = [_numbers(readings, side, seams[side]) for side in range(sides)]
    metrics = []
    for name in METRICS:
        before, after = columns[0].get(name), columns[1].get(name) if sides > 1 else None
        reason = (
            "" if before is not None else no_lpips if name in _NEED_LPIPS and no_lpips else _WHY_NOT.get(name, _FEW)
        )
        metrics.append(Metric(name, before, after, reason))
    by_name = {metric.name: metric for metric in metrics}
    bounds: tuple[Guard, ...] = ()
    if sides > 1:
        exposure, lpips = _largest(readings.shared["exposure"]), _mean(readings.shared["lpips_input"])
        found = guards | {"exposure": exposure, "lpips": lpips}
        bounds = tuple(
            Guard(name, found.get(name), *LIMITS[name], reason=_why_no_guard(name, found.get(name), no_lpips))
            for name in LIMITS
        )
    touched = bool(guards.get("changed"))
    static = is_static(readings.shared["top_motion"], shorter_side_px)
    remark = "" if static else "VBench scores temporal flickering on static videos only, which this one is not"
    return Measures(
        verdict=judge_pair(by_name, bounds, touched=touched) if sides > 1 else judge_one(by_name),
        metrics=tuple(metrics),
        guards=bounds,
        shots=tuple(readings.frames[place] for place in readings.opens),
        seams_before=tuple(readings.frames[at] for at in seams[0]),
        seams_after=tuple(readings.frames[at] for at in seams[-1]) if sides > 1 else (),
        course=_course(readings),
        drift=DriftCurve(
            lags=tuple(readings.drift_lags.tolist()),
            before=_plain(readings.drift[0]),
            after=_plain(readings.drift[-1]) if sides > 1 else (),
        ),
        notes=(*notes, *([remark] if remark else [])),
    )


_NEED_LPIPS = ("tcs", "tcs_moved", "drift_slope")


_WHY_NOT = {"seam_period": "no regular seams", "ewarp_l1_first": "too little of the first frame stays in sight"}


def _why_no_guard(name: str, value: float | None, no_lpips: str) -> str:
    if value is not None:
        return ""
    return no_lpips if name == "lpips" and no_lpips else "nothing to measure it on"


def _numbers(readings: Readings, side: int, seams: list[int]) -> dict[str, float | None]:
    """Every metric of one side by name; None where there was nothing to measure."""
    series = {name: values[side] for name, values in readings.series.items()}
    weight = series["weight"].nansum()
    found: dict[str, float | None] = {}
    for channel in CHANNELS:
        found[f"flicker_whole_{channel}"] = _number(series[f"whole_{channel}"].square().nanmean().sqrt())
        local = (series[f"local_{channel}"].nansum() / weight).sqrt()
        found[f"flicker_local_{channel}"] = _number(local)
    mse = _mean(series["ewarp_mse"])
    period = seam_period(seams)
    drift = _number(slope(readings.drift_lags, readings.drift[side]))
    return found | {
        "seams": float(len(seams)) if len(readings.frames) > 1 else None,
        "seam_period": float(period) if period else None,
        "variance_trajectory": _mean(series["trajectory"]),
        "variance_pixel": _number(readings.variance[side]),
        "ewarp_mse": None if mse is None else 1000 * mse,
        "ewarp_l1": _mean(series["ewarp_l1"]),
        "ewarp_l1_first": _mean(series["ewarp_l1_first"]),
        "boil": _number(texture_boil(series["boil_along"], series["boil_across"])),
        "tcs": _number(coherence(series["lpips_next"])),
        "tcs_moved": _number(coherence(series["lpips_moved"])),
        "drift_slope": None if drift is None else 100 * drift,
        "vbench_flickering": _vbench(series["change"], readings.held),
        "motion_smoothness": _number(motion_smoothness(series["interpolation"])),
    }


def _vbench(changes: Tensor, held: int) -> float | None:
    """Repeated frames are pairs without any change, and VBench counts them."""
    return _number(temporal_flickering(torch.cat([changes[~changes.isnan()], torch.zeros(held)])))


def _seams(readings: Readings, side: int) -> list[int]:
    """Places of the pictures before which a seam lies."""
    steps = torch.stack([readings.series[f"step_{channel}"][side] for channel in CHANNELS], 1)
    bounds = [*readings.opens, len(readings.frames)]
    return [first + at for first, last in pairwise(bounds) for at in find_seams(steps[first : last - 1])]


def _course(readings: Readings) -> Course:
    shake, error = readings.series["whole_y"].abs(), readings.series["ewarp_l1"] * 255
    after = len(shake) > 1
    return Course(
        frames=readings.frames,
        flicker_before=_plain(shake[0]),
        flicker_after=_plain(shake[-1]) if after else (),
        ewarp_before=_plain(error[0]),
        ewarp_after=_plain(error[-1]) if after else (),
    )


def _plain(values: Tensor) -> tuple[float | None, ...]:
    """With None for NaN, rounded so that a long video's report stays small."""
    return tuple(None if value != value else round(value, 5) for value in values.tolist())


def _mean(values: Tensor) -> float | None:
    return _number(values.nanmean())


def _largest(values: Tensor) -> float | None:
    there = values[~values.isnan()]
    return float(there.max()) if len(there) else None


def _number(value: Tensor) -> float | None:
    return None if bool(value.isnan()) else float(value)

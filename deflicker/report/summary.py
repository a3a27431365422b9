"""Sums the numbers of all frames up to the report's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from deflicker.metrics.boil import texture_boil
from deflicker.metrics.drift import coherence, slope
from deflicker.metrics.meter import FrameSeries
from deflicker.metrics.per_frame import CHANNELS
from deflicker.metrics.seams import find_seams, seam_period
from deflicker.metrics.vbench import is_static, motion_smoothness, temporal_flickering
from deflicker.report.results import Course, DriftCurve, Guard, Measures, Metric
from deflicker.report.terms import LIMITS, METRICS
from deflicker.report.verdict import judge_one, judge_pair

_NEED_LPIPS = ("tcs", "tcs_moved", "drift_slope")
_WHY_MISSING = {"seam_period": "no regular seams", "ewarp_l1_first": "too little of the first frame stays visible"}


def build_results(
    series: FrameSeries,
    guards: dict[str, float | None],
    *,
    shorter_side_px: int,
    no_lpips: str,
    notes: Sequence[str] = (),
) -> Measures:
    """Sum the numbers of each frame up to the report's results.

    guards: guardrail metrics by name (`terms.GUARDS`), except those that `series` holds; empty for a single video.
    shorter_side_px: of the pictures measured. no_lpips: why LPIPS is not available; empty where it is.
    """
    sides = len(series.variance)
    seams = [_seams(series, side) for side in range(sides)]
    metrics = _metrics([_numbers(series, side, seams[side]) for side in range(sides)], no_lpips)
    by_name = {metric.name: metric for metric in metrics}
    checked = _guards(series, guards, no_lpips) if sides > 1 else ()
    verdict = judge_pair(by_name, checked, touched=bool(guards.get("changed"))) if sides > 1 else judge_one(by_name)
    if not is_static(series.shared["top_motion"], shorter_side_px):
        notes = (*notes, "VBench scores temporal flickering on static videos only, which this one is not")
    return Measures(
        verdict=verdict,
        metrics=metrics,
        guards=checked,
        shots=tuple(series.frames[start] for start in series.shot_starts),
        seams_before=tuple(series.frames[at] for at in seams[0]),
        seams_after=tuple(series.frames[at] for at in seams[-1]) if sides > 1 else (),
        course=_course(series),
        drift=DriftCurve(
            lags=tuple(series.drift_lags.tolist()),
            before=_plain(series.drift[0]),
            after=_plain(series.drift[-1]) if sides > 1 else (),
        ),
        notes=tuple(notes),
    )


def _metrics(columns: Sequence[Mapping[str, float | None]], no_lpips: str) -> tuple[Metric, ...]:
    """Every metric of `terms.METRICS`, from the numbers of one or two sides."""

    def reason(name: str) -> str:
        return no_lpips if name in _NEED_LPIPS and no_lpips else _WHY_MISSING.get(name, "too few frames")

    rows = [(name, columns[0].get(name), columns[1].get(name) if len(columns) > 1 else None) for name in METRICS]
    return tuple(Metric(*row, reason="" if row[1] is not None else reason(row[0])) for row in rows)


def _guards(series: FrameSeries, guards: dict[str, float | None], no_lpips: str) -> tuple[Guard, ...]:
    """Every guardrail metric with its limits."""
    values = guards | {"exposure": _largest(series.shared["exposure"]), "lpips": _mean(series.shared["lpips_input"])}
    missing = dict.fromkeys(LIMITS, "nothing to measure it on") | ({"lpips": no_lpips} if no_lpips else {})
    return tuple(
        Guard(name, values.get(name), *LIMITS[name], reason="" if values.get(name) is not None else missing[name])
        for name in LIMITS
    )


def _numbers(series: FrameSeries, side: int, seams: list[int]) -> dict[str, float | None]:
    """Every metric of one side by name; None where there was nothing to measure."""
    columns = {name: values[side] for name, values in series.series.items()}
    weight = columns["weight"].nansum()
    found: dict[str, float | None] = {}
    for channel in CHANNELS:
        found[f"flicker_whole_{channel}"] = _number(columns[f"whole_{channel}"].square().nanmean().sqrt())
        local = (columns[f"local_{channel}"].nansum() / weight).sqrt()
        found[f"flicker_local_{channel}"] = _number(local)
    mse = _mean(columns["ewarp_mse"])
    period = seam_period(seams)
    drift = _number(slope(series.drift_lags, series.drift[side]))
    return found | {
        "seams": float(len(seams)) if len(series.frames) > 1 else None,
        "seam_period": float(period) if period else None,
        "variance_trajectory": _mean(columns["trajectory"]),
        "variance_pixel": _number(series.variance[side]),
        "ewarp_mse": None if mse is None else 1000 * mse,
        "ewarp_l1": _mean(columns["ewarp_l1"]),
        "ewarp_l1_first": _mean(columns["ewarp_l1_first"]),
        "boil": _number(texture_boil(columns["boil_along"], columns["boil_across"])),
        "tcs": _number(coherence(columns["lpips_next"])),
        "tcs_moved": _number(coherence(columns["lpips_moved"])),
        "drift_slope": None if drift is None else 100 * drift,
        "vbench_flickering": _vbench(columns["change"], series.duplicates),
        "motion_smoothness": _number(motion_smoothness(columns["interpolation"])),
    }


def _vbench(changes: Tensor, duplicates: int) -> float | None:
    """Duplicates are pairs without any change, and VBench counts them."""
    return _number(temporal_flickering(torch.cat([changes[~changes.isnan()], torch.zeros(duplicates)])))


def _seams(series: FrameSeries, side: int) -> list[int]:
    """Indices of the pictures before which a seam lies."""
    steps = torch.stack([series.series[f"step_{channel}"][side] for channel in CHANNELS], 1)
    bounds = [*series.shot_starts, len(series.frames)]
    return [first + at for first, last in pairwise(bounds) for at in find_seams(steps[first : last - 1])]


def _course(series: FrameSeries) -> Course:
    shake, error = series.series["whole_y"].abs(), series.series["ewarp_l1"] * 255
    after = len(shake) > 1
    return Course(
        frames=series.frames,
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

"""Rows of redrawn pairs as a table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from ..tables import Table
from .run import INPUT, SOURCE, Row


def table(rows: Sequence[Row]) -> Table:
    """One line for each pair and method, then for each method the mean over the pairs."""
    head = ["pair", "method", "E_warp", "excess", "far", "far, less", "sharpness", "LPIPS"]
    by_pair: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_pair.setdefault(row.pair, {})[row.method] = row
    lines = [_line(found, row) for found in by_pair.values() for row in found.values()]
    complete = [found for found in by_pair.values() if SOURCE in found and INPUT in found]
    methods = dict.fromkeys(row.method for row in rows if row.method not in (SOURCE, INPUT))
    return [head, *lines, *(_mean(complete, method) for method in methods if len(complete) > 1)]


def excess_left(found: dict[str, Row], row: Row) -> float:
    """E_warp beyond the source's, as a part of the input's; below 0 it is steadier than the source."""
    source, given = found[SOURCE].scores.ewarp, found[INPUT].scores.ewarp
    return (row.scores.ewarp - source) / (given - source)


def far_left(found: dict[str, Row], row: Row) -> float:
    """Difference to the first frame as a part of the input's."""
    return row.scores.far / found[INPUT].scores.far


def _line(found: dict[str, Row], row: Row) -> list[str]:
    scores = row.scores
    changes = ["", ""]
    if row.method not in (SOURCE, INPUT):
        changes = [_change(excess_left(found, row)), _change(far_left(found, row))]
    return [
        row.pair, row.method, f"{scores.ewarp:.1f}", changes[0], f"{scores.far:.2f}", changes[1],
        "" if row.method == SOURCE else f"{scores.sharpness:.2f}",
        "" if scores.lpips is None or row.method == SOURCE else f"{scores.lpips:.3f}",
    ]  # fmt: skip


def _mean(pairs: Sequence[dict[str, Row]], method: str) -> list[str]:
    known = [found for found in pairs if method in found]
    rows = [found[method].scores for found in known]
    lpips = [each.lpips for each in rows if each.lpips is not None]
    return [
        f"mean of {len(known)}", method, "", _change(fmean(excess_left(found, found[method]) for found in known)),
        "", _change(fmean(far_left(found, found[method]) for found in known)),
        f"{fmean(each.sharpness for each in rows):.2f}", f"{fmean(lpips):.3f}" if lpips else "",
    ]  # fmt: skip


def _change(left: float) -> str:
    """What is left, as a change: −60 %."""
    return f"{100 * (left - 1):+.0f} %".replace("-", "−")

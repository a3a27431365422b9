"""From numbers to one word. "Improved" takes less flicker and every guard; nothing else is called so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deflicker.report.results import Guard, Metric, Verdict
from deflicker.report.terms import GUARDS, METRICS, allowed_range, show

FLICKER = tuple(name for name in METRICS if name.startswith("flicker_"))
_FELL, _ROSE = (0.05, 0.03), (0.10, 0.10)
"""Relative and absolute change (levels of 255) of a flicker index that counts as one. More is asked of a rise: an
index that nobody touched moves a little."""
STEADY = {"flicker_whole_y": 0.5, "flicker_whole_cb": 0.25, "flicker_whole_cr": 0.25}
"""Flicker index from which a video is said to flicker (docs/results/metric_clips.md has the clips it was set on)."""


def judge_one(metrics: Mapping[str, Metric]) -> Verdict:
    """Whether a single video flickers."""
    over = [
        f"{METRICS[name].title.lower()} {metric.before:.2f}, steady below {limit:g}"
        for name, limit in STEADY.items()
        if (metric := metrics[name]).before is not None and metric.before >= limit
    ]
    if all(metrics[name].before is None for name in STEADY):
        return Verdict("steady", ("too few frames to tell",))
    return Verdict("flickers", tuple(over)) if over else Verdict("steady", ("every flicker index is low",))


def judge_pair(metrics: Mapping[str, Metric], guards: Sequence[Guard], *, touched: bool) -> Verdict:
    """Whether the second video is an improvement on the first; `touched`: some sample differs."""
    if not touched:
        return Verdict("unchanged", ("no sample was changed",))
    broken = tuple(_broken(guard) for guard in guards if not guard.holds)
    down, up = _moved(metrics, -1), _moved(metrics, +1)
    if broken:
        return Verdict("harmed", broken)
    if up:
        return Verdict("not improved", tuple(f"{each} rose" for each in up))
    if not down:
        return Verdict("not improved", ("no flicker index fell",))
    return Verdict("improved", (*(f"{each} fell" for each in down), "every guard holds"))


def _moved(metrics: Mapping[str, Metric], sign: int) -> list[str]:
    """Flicker indices that rose (+1) or fell (-1) by more than nothing, in words."""
    words, (part, least) = [], _FELL if sign < 0 else _ROSE
    for name in FLICKER:
        metric = metrics[name]
        if metric.before is None or metric.after is None:
            continue
        change = sign * (metric.after - metric.before)
        if change > least and change > part * metric.before:
            words.append(f"{METRICS[name].title.lower()} ({metric.before:.2f} → {metric.after:.2f})")
    return words


def _broken(guard: Guard) -> str:
    term = GUARDS[guard.name]
    return (
        f"{term.title.lower()} is {show(term, guard.value)}, allowed is {allowed_range(guard.at_least, guard.at_most)}"
    )

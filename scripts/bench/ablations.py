"""What each ingredient of the correction is worth: the same run without it, against the full run beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from deflicker.core.memory import LOCKING_REACH
from deflicker.core.presets import PRESETS

from .quality import Row
from .tables import Table, per_clip, psnr_of, temporal_of
from .without import TERMS

FULL = "deflicker"
_LEAST_REACH = {"texture": 1, "sharpness": 1, "locking": LOCKING_REACH}
"""Neighbours that a preset compares texture with, below which it has nothing to leave out."""
ANCHORED = "with anchors"


def tools(terms: Sequence[str], preset: str) -> dict[str, tuple[str, ...]]:
    """The runs that are needed beside the full one, by name, with the options of each.

    Anchors do nothing until they are asked for, so a run with them is added and the full one is the run without.
    """
    runs: dict[str, tuple[str, ...]] = {}
    reach = PRESETS[preset].texture_reach  # type: ignore[index]
    for term in terms:
        if term == "anchors":
            runs[ANCHORED] = ("--anchor", "1")
        elif reach >= _LEAST_REACH.get(term, 0):
            runs[without(term)] = ("--without", term)
    return runs


def without(term: str) -> str:
    """Name of the run without a term."""
    return f"without {term}"


def pairs(methods: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(run without it, run with it) of each ingredient that was measured, by name."""
    found = {term: (without(term), FULL) for term in TERMS if without(term) in methods}
    return found | ({"anchors": (FULL, ANCHORED)} if ANCHORED in methods else {})


def is_ablation(method: str) -> bool:
    """Whether a run is there for this table only."""
    return method == ANCHORED or method in map(without, TERMS)


def table(rows: Sequence[Row]) -> Table | None:
    """Each ingredient × kind: PSNR / temporal PSNR without it less the same with it, mean over clips, dB.

    Below zero: it helps. Then the clip and kind that lose and gain most without it, and the run's time over the full
    one's. None where nothing was left out.
    """
    measured = pairs(list(dict.fromkeys(row.method for row in rows)))
    if not measured:
        return None
    kinds = list(dict.fromkeys(row.what for row in rows))
    lines = [["without", *kinds, "loses most", "gains most", "time"]]
    for term, (less, more) in measured.items():
        cells = []
        for kind in kinds:
            some = [row for row in rows if row.what == kind]
            change = [_change(some, less, more, value) for value in (psnr_of, temporal_of)]
            cells.append(" / ".join(_signed(fmean(each.values())) if each else "–" for each in change))
        lines.append([term, *cells, *_extremes(rows, kinds, less, more), _time(rows, less, more)])
    return lines


def _change(rows: Sequence[Row], less: str, more: str, value: Callable[[Row], float]) -> Mapping[str, float]:
    """What a value is more without an ingredient than with it, by clip (mean of the seeds)."""
    found = {}
    for clip in dict.fromkeys(row.clip for row in rows):
        one, other = ([row for row in rows if (row.clip, row.method) == (clip, name)] for name in (less, more))
        if one and other:
            found[clip] = per_clip(one, value)[0] - per_clip(other, value)[0]
    return found


def _extremes(rows: Sequence[Row], kinds: Sequence[str], less: str, more: str) -> tuple[str, str]:
    changes = {
        (clip, kind): change
        for kind in kinds
        for clip, change in _change([row for row in rows if row.what == kind], less, more, psnr_of).items()
    }
    places = min(changes, key=changes.__getitem__), max(changes, key=changes.__getitem__)
    worse, better = (f"{_signed(changes[place])} ({', '.join(place)})" for place in places)
    return worse if changes[places[0]] < -0.05 else "–", better if changes[places[1]] > 0.05 else "–"


def _time(rows: Sequence[Row], less: str, more: str) -> str:
    one, other = (sum(row.seconds for row in rows if row.method == name) for name in (less, more))
    return f"× {one / max(other, 1e-9):.2f}"


def _signed(value: float) -> str:
    """Decibels with a sign; a zero without."""
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text

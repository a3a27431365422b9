"""Bars as SVG, drawn here so that they need no library. A picture of its own: its looks are inside, text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from . import memory, peers, quality, speed
from .ablations import is_ablation
from .tables import per_clip, psnr_of, temporal_of

_WIDTH, _NAMES, _VALUES = 680, 190, 104
"""Of the picture, of the names to the left of the bars, and of the numbers to their right."""
_TOP, _BAR, _GAP, _HEAD = 34, 15, 10, 20
"""Height of the title, of a bar, of the space between groups, of a group's own title."""
MOST_DB = 60.0
"""Longest bar of PSNR: identical pictures have 99 dB, which would make all else short."""

STYLE = """
svg { --ink: #1d2329; --soft: #5b6570; --bar: #a9b4bf; --own: #1769c2; --input: #d9dee3;
  font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e9ec; --soft: #9aa5b0; --bar: #59646f; --own: #66aaf5;
  --input: #333b43; } }
text { fill: var(--soft); } .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
.group { font-weight: 600; fill: var(--ink); } .end { text-anchor: end; }
.bar { fill: var(--bar); } .bar.own { fill: var(--own); } .bar.input { fill: var(--input); }
"""


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    value: float
    look: str = ""
    """CSS class: `own` for the product, `input` for what it was given, or none."""
    note: str = ""
    """Further words behind the number."""


@dataclass(frozen=True)
class Group:
    """Bars under one title."""

    name: str
    bars: Sequence[Bar]


def bars(title: str, groups: Sequence[Group], *, form: str = ".1f", most: float | None = None) -> str:
    """An SVG with a bar for every value, group below group. form: how numbers are written; most: the longest bar."""
    values = [bar.value for group in groups for bar in group.bars]
    top = max([value if most is None else min(value, most) for value in values], default=0.0) or 1.0
    height, drawn = _TOP, []
    for group in groups:
        drawn.append(f'<text class="group" x="0" y="{height + _HEAD - 6}">{escape(group.name)}</text>')
        height += _HEAD
        for bar in group.bars:
            drawn.append(_bar(bar, height, form, min(bar.value, top) / top, group.name))
            height += _BAR
        height += _GAP
    size = f'width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="0" y="{_TOP - 16}">{escape(title)}</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _bar(bar: Bar, y: int, form: str, part: float, group: str) -> str:
    length = max(0.0, part) * (_WIDTH - _NAMES - _VALUES)
    number = f"{bar.value:{form}}{bar.note and ' ' + bar.note}"
    text_y = y + _BAR - 4
    return (
        f'<text class="end" x="{_NAMES - 6}" y="{text_y}">{escape(bar.name)}</text>'
        f'<rect class="bar {bar.look}" x="{_NAMES}" y="{y + 1}" width="{length:.1f}" height="{_BAR - 3}">'
        f"<title>{escape(f'{group}, {bar.name}: {number}')}</title></rect>"
        f'<text x="{_NAMES + length + 5:.1f}" y="{text_y}">{escape(number)}</text>'
    )


# --- Of the commands --------------------------------------------------------------------------------------------------


def of_quality(rows: Sequence[quality.Row]) -> dict[str, str]:
    """PSNR and temporal PSNR of each method by kind, means over clips; by file name."""
    rows = [row for row in rows if not is_ablation(row.method)]
    kinds = list(dict.fromkeys(row.what for row in rows))
    found = {}
    for name, title, value in (
        ("psnr", "PSNR to the clean clip, dB", psnr_of),
        ("temporal", "Temporal PSNR, dB", temporal_of),
    ):
        groups = []
        for kind in kinds:
            some = [row for row in rows if row.what == kind]
            methods = dict.fromkeys(row.method for row in some)
            means = {m: per_clip([row for row in some if row.method == m], value) for m in methods}
            groups.append(Group(kind, [Bar(m, sum(v) / len(v), _look(m)) for m, v in means.items()]))
        found[f"quality_{name}"] = bars(title, groups, most=MOST_DB)
    return found


def _look(method: str) -> str:
    if method == quality.INPUT:
        return "input"
    return "" if method in peers.PEERS else "own"


def of_speed(rows: Sequence[speed.Row]) -> dict[str, str]:
    """Frames a second end to end of each method, and peak memory, by size and length; by file name."""

    def groups(value: str) -> Iterable[Group]:
        for size, seconds in dict.fromkeys((row.size, row.seconds) for row in rows):
            some = [row for row in rows if (row.size, row.seconds) == (size, seconds)]
            yield Group(
                f"{size}, {seconds} s",
                [Bar(row.name, getattr(row, value), "" if row.is_peer else "own") for row in some],
            )

    return {
        "speed": bars("Frames a second, end to end", list(groups("fps")), form=".2f"),
        "speed_memory": bars("Peak memory of the process, MB", list(groups("peak_mb")), form=".0f"),
    }


def of_memory(rows: Sequence[memory.Row]) -> dict[str, str]:
    """Peak memory of each length, by size, preset and device; by file name."""
    groups = []
    for what in dict.fromkeys(row.what for row in rows):
        some = [row for row in rows if row.what == what]
        groups.append(Group(what, [Bar(f"{r.seconds} s", r.peak_mb, "own", f"(× {r.ratio:.3f})") for r in some]))
    return {"memory": bars("Peak memory of the process, MB", groups, form=".0f")}

"""Plots as SVG, drawn here so that a report needs no library and no network. Every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 480, 210
_TIMELINE_PX = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 12, 34
_MOST_POINTS = 600
"""Points of one line; of more, the largest of each bucket is drawn, so that no spike is lost."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    name: str
    look: str
    """CSS class: `before` or `after`."""
    values: Values


@dataclass(frozen=True)
class Marks:
    """Vertical lines at places of the horizontal axis."""

    name: str
    look: str
    """CSS class: `cut` or `seam`."""
    places: Sequence[float]


def plot(title: str, x_name: str, x: Sequence[float], lines: Iterable[Line], marks: Iterable[Marks] = ()) -> str:
    """An `<svg>` with one line per column of values over `x`; None is a gap."""
    lines, marks = [line for line in lines if line.values], [each for each in marks if each.places]
    drawn = [(line, _thin(x, line.values)) for line in lines]
    top = _round_up(max((y for _, points in drawn for _, y in points if y is not None), default=0.0))
    low, high = (min(x), max(x)) if x else (0.0, 1.0)
    scale = _Scale(low, high if high > low else low + 1, top)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_grid(scale, x_name),
        *(_mark(scale, each.look, place) for each in marks for place in each.places),
        *(f'<path class="line {line.look}" d="{_path(scale, points)}"/>' for line, points in drawn),
        "</svg>",
    ]
    keys = [(line.look, line.name) for line in lines] + [(each.look, each.name) for each in marks]
    legend = "".join(f'<span class="key {look}">{escape(name)}</span>' for look, name in keys)
    return f'<figure class="plot"><figcaption>{escape(title)} {legend}</figcaption>{"".join(parts)}</figure>'


@dataclass(frozen=True)
class Span:
    """Consecutive frames on the timeline, and what is said of them."""

    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Row:
    """A row of the timeline."""

    name: str
    look: str
    """CSS class: `shot`, `seam`, `flash`, `excluded` or `texture`."""
    spans: Sequence[Span]


_ROW_PX, _LABEL_PX, _LEAST_PX = 24, 100, 2.5


def timeline(frames: int, rows: Iterable[Row]) -> str:
    """An `<svg>` with a row for each kind of span, over all frames; rows without spans are left out."""
    rows = [row for row in rows if row.spans]
    across = (_TIMELINE_PX - _LABEL_PX - _RIGHT) / max(1, frames)
    height = len(rows) * _ROW_PX + 22
    parts = [f'<svg class="timeline" viewBox="0 0 {_TIMELINE_PX} {height}" role="img" aria-label="Timeline">']
    for index, row in enumerate(rows):
        y = index * _ROW_PX
        parts.append(f'<text class="end" x="{_LABEL_PX - 8}" y="{y + 17}">{escape(row.name)}</text>')
        for number, span in enumerate(row.spans):
            x, width = _LABEL_PX + span.first * across, max(_LEAST_PX, (span.last + 1 - span.first) * across)
            odd = " odd" if number % 2 else ""
            parts.append(
                f'<rect class="{row.look}{odd}" x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{_ROW_PX - 6}">'
                f"<title>{escape(span.text)}</title></rect>"
            )
    for frame, look in ((0, "start"), (max(0, frames - 1), "end")):
        x = _LABEL_PX if look == "start" else _TIMELINE_PX - _RIGHT
        parts.append(f'<text class="{look}" x="{x}" y="{height - 4}">frame {frame}</text>')
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value * 0.999)


def _thin(x: Sequence[float], values: Values) -> list[tuple[float, float | None]]:
    points = list(zip(x, values, strict=True))
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-len(points) // _MOST_POINTS)
    buckets = (points[at : at + size] for at in range(0, len(points), size))
    return [max(bucket, key=lambda point: -1.0 if point[1] is None else point[1]) for bucket in buckets]


def _path(scale: _Scale, points: Iterable[tuple[float, float | None]]) -> str:
    words, pen = [], "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        words.append(f"{pen}{scale.x(x):.1f} {scale.y(y):.1f}")
        pen = "L"
    return "".join(words)


def _mark(scale: _Scale, look: str, place: float) -> str:
    x = f"{scale.x(place):.1f}"
    return f'<line class="{look}" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'


def _grid(scale: _Scale, x_name: str) -> Iterable[str]:
    for quarter in range(5):
        value = scale.top * quarter / 4
        y = f"{scale.y(value):.1f}"
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        if quarter % 2 == 0:
            yield f'<text class="end" x="{_LEFT - 5}" y="{scale.y(value) + 4:.1f}">{value:g}</text>'
    for value in dict.fromkeys((scale.low, round((scale.low + scale.high) / 2), scale.high)):
        yield f'<text class="middle" x="{scale.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 15}">{value:g}</text>'
    yield f'<text class="middle" x="{_WIDTH / 2}" y="{_HEIGHT - 4}">{escape(x_name)}</text>'

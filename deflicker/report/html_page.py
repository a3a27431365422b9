"""The report as one HTML file that needs nothing else: no script, style, font or picture from anywhere.

Whatever comes from outside (file names, tags, messages) is escaped, and the page's own policy forbids to run or fetch
anything but what it was written with.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Iterable, Iterator
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deflicker.core.version import __version__
from deflicker.report.frame_notes import skipped_lines, texture_lines
from deflicker.report.gallery import Gallery, Image
from deflicker.report.model import Measurement, Report
from deflicker.report.results import Guard, Measures, Metric, Verdict
from deflicker.report.style import CSS, SCRIPT
from deflicker.report.svg import Line, Marks, plot
from deflicker.report.terms import GUARDS, METRICS, show

_TONES = {"improved": "good", "steady": "good", "unchanged": "", "not improved": "", "flickers": "bad", "harmed": "bad"}
_SAME = 0.02
"""Relative change below which no arrow is drawn; of scores that end at 1, of what they lack."""


def page(report: Report | Measurement) -> str:
    """The whole page."""
    measures, pair = report.measures, isinstance(report, Report) or report.other is not None
    name = Path(report.source).name
    body = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="soft">{escape(_subtitle(report))}</p>',
    ]
    if measures is None:
        body.append("<p>Nothing was measured.</p>")
    else:
        body += [_verdict(measures.verdict), *_pictures(report.gallery, pair=pair), *_numbers(measures, pair=pair)]
        body += _plots(measures, pair=pair)
    body += _facts(report)
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(CSS)}'; script-src '{_hash(SCRIPT)}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} – deflicker</title><style>{CSS}</style></head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _subtitle(report: Report | Measurement) -> str:
    length = f"{report.frames} frames, {report.duration_s:.1f} s"
    if isinstance(report, Report):
        return f"corrected to {Path(report.target).name} · {length}"
    return f"compared with {Path(report.other).name} · {length}" if report.other else f"as it is · {length}"


def _verdict(verdict: Verdict) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    tone = _TONES[verdict.judgement]
    return f'<div class="verdict {tone}"><strong>{escape(verdict.judgement)}</strong><ul>{reasons}</ul></div>'


# --- Numbers ----------------------------------------------------------------------------------------------------------


def _numbers(measures: Measures, *, pair: bool) -> Iterator[str]:
    head = "<th>before</th><th>after</th><th></th>" if pair else "<th>value</th>"
    rows = "".join(_metric(metric, pair=pair) for metric in measures.metrics)
    yield f"<h2>Coherence</h2><table><tr><th>what (tap for its meaning)</th>{head}</tr>{rows}</table>"
    if measures.guards:
        rows = "".join(_guard(guard) for guard in measures.guards)
        yield "<h2>Guards: what must stay as it was</h2>"
        yield f"<table><tr><th>what</th><th>value</th><th>allowed</th><th></th></tr>{rows}</table>"


def _name(title: str, unit: str, meaning: str) -> str:
    unit = f' <span class="soft unit">{escape(unit)}</span>' if unit else ""
    meaning = escape(meaning)
    return f'<details title="{meaning}"><summary>{escape(title)}{unit}</summary><p>{meaning}</p></details>'


def _metric(metric: Metric, *, pair: bool) -> str:
    term = METRICS[metric.name]
    name = _name(term.title, term.unit, term.meaning)
    if metric.before is None and metric.after is None:
        return f'<tr><td>{name}</td><td class="none" colspan="3">{escape(metric.reason)}</td></tr>'
    if not pair:
        return f"<tr><td>{name}</td><td>{show(term, metric.before)}</td></tr>"
    both = f"<td>{show(term, metric.before)}</td><td>{show(term, metric.after)}</td>"
    return f"<tr><td>{name}</td>{both}<td>{_arrow(metric, term.better)}</td></tr>"


def _arrow(metric: Metric, better: str) -> str:
    if metric.before is None or metric.after is None:
        return ""
    change = metric.after - metric.before
    if abs(change) <= _SAME * abs(1 - metric.before if better == "higher" else metric.before):
        return '<span title="the same">=</span>'
    arrow, went = ("▲", "higher") if change > 0 else ("▼", "lower")
    if better == "neither":
        return arrow
    tone, word = ("good", "better") if went == better else ("bad", "worse")
    return f'<span class="{tone}" title="{went}, which is {word}">{arrow}<span class="unit"> {word}</span></span>'


def _guard(guard: Guard) -> str:
    term = GUARDS[guard.name]
    name = _name(term.title, term.unit, term.meaning)
    if guard.value is None:
        return f'<tr><td>{name}</td><td class="none" colspan="3">{escape(guard.reason)}</td></tr>'
    low, high = guard.at_least, guard.at_most
    allowed = f"{low:g} … {high:g}" if low is not None and high is not None else ""
    allowed = allowed or (f"≥ {low:g}" if low is not None else f"≤ {high:g}" if high is not None else "")
    mark = ('<span class="good">holds</span>' if guard.holds else '<span class="bad">broken</span>') if allowed else ""
    return f"<tr><td>{name}</td><td>{show(term, guard.value)}</td><td>{allowed or 'any'}</td><td>{mark}</td></tr>"


# --- Pictures and plots -----------------------------------------------------------------------------------------------


def _image(image: Image, alt: str, look: str = "") -> str:
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img class="{look}" {size} alt="{escape(alt)}" src="{image.address}">'


def _pictures(gallery: Gallery | None, *, pair: bool) -> Iterator[str]:
    if gallery is None or gallery.slice_before is None:
        return
    yield "<h2>At a glance</h2>"
    caption = f"The picture's middle column in {gallery.slice_frames} frames, side by side: flicker is stripes."
    yield f'<p class="soft">{escape(caption)}</p><div class="grid2">'
    for title, image in (("before" if pair else "as it is", gallery.slice_before), ("after", gallery.slice_after)):
        if image:
            slice_ = _image(image, f"slice in time, {title}", "slice")
            yield f"<figure>{slice_}<figcaption>{title}</figcaption></figure>"
    yield "</div>"
    if gallery.frame_before and gallery.frame_after:
        yield '<div class="grid2">'
        yield (
            f'<figure><div class="slider">{_image(gallery.frame_before, "before")}'
            f"{_image(gallery.frame_after, 'after', 'over')}</div>"
            '<input type="range" min="0" max="100" value="50" aria-label="before or after">'
            f"<figcaption>Frame {gallery.frame}, the one that changed most: before on the left, after on the right."
            "</figcaption></figure>"
        )
        if gallery.heat:
            ends = f'<div class="ends soft"><span>0</span><span>{gallery.heat_peak:.1f}</span></div>'
            caption = "Where the correction acted: mean change over all frames, levels of 255."
            yield (
                f"<figure>{_image(gallery.heat, 'where the correction acted')}"
                f'<div class="scale"></div>{ends}<figcaption>{caption}</figcaption></figure>'
            )
        yield "</div>"


def _plots(measures: Measures, *, pair: bool) -> Iterator[str]:
    course, drift = measures.course, measures.drift
    first = "before" if pair else "as it is"
    marks = [
        Marks("cut", "cut", measures.shots[1:]),
        Marks("seam", "seam", measures.seams_before),
    ]
    yield '<h2>Frame by frame</h2><div class="grid2">'
    yield plot(
        "Flicker of the whole picture, levels of 255", "frame", course.frames,
        [Line(first, "before", course.flicker_before), Line("after", "after", course.flicker_after)], marks,
    )  # fmt: skip
    yield plot(
        "Warping error to the next frame, levels of 255", "frame", course.frames,
        [Line(first, "before", course.ewarp_before), Line("after", "after", course.ewarp_after)], marks,
    )  # fmt: skip
    if any(value is not None for value in drift.before):
        lines = [Line(first, "before", drift.before), Line("after", "after", drift.after)]
        yield plot("Drift: how different frames look (LPIPS)", "frames apart", drift.lags, lines)
    yield "</div>"


# --- The run ----------------------------------------------------------------------------------------------------------


def _facts(report: Report | Measurement) -> Iterator[str]:
    facts = [("time", f"{report.elapsed_s:.1f} s"), ("device", f"{report.device}: {report.device_reason}")]
    if isinstance(report, Report):
        changed = f"{report.frames_changed} of {report.frames} frames, encoded with {report.codec}"
        facts += [("changed", changed), ("copied", ", ".join(report.copied) or "nothing else was there")]
        facts += [("kept", what) for what in skipped_lines(report.kept)]
        facts += [("texture", what) for what in texture_lines(report.texture)]
        facts += [("dropped", what) for what in report.dropped or ("nothing",)]
        facts += [("damaged", f"{what} ({count} times)") for what, count in report.losses]
        facts += [("left as they were", f"{report.frames_diverged} frames")] if report.frames_diverged else []
    facts += [("note", note) for note in (*report.notes, *(report.measures.notes if report.measures else ()))]
    facts += [("versions", ", ".join(_versions()))]
    yield f"<h2>The run</h2>{_list(facts)}"
    if report.settings:
        asked = [(name, "–" if text in ("None", "{}") else text) for name, text in report.settings]
        yield f"<h2>Settings</h2>{_list(asked)}"


def _list(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "</dl>"


def _versions() -> Iterator[str]:
    yield f"deflicker {__version__}"
    yield f"Python {platform.python_version()}"
    for package in ("torch", "torchvision", "av", "lpips"):
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue

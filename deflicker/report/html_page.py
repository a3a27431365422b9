"""The report as one HTML file that needs nothing else: no script, style, font or picture from anywhere.

It is rendered from the JSON document of the report, so it shows nothing that the JSON lacks, apart from the pictures.
Whatever comes from outside (file names, tags, messages) is escaped, and the page's own policy forbids it to run or
fetch anything but what it was written with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markupsafe import Markup

from deflicker.report.frame_notes import ShotTexture, SkippedRange, skipped_lines, texture_lines
from deflicker.report.gallery import Gallery
from deflicker.report.results import Document, Judgement
from deflicker.report.svg import Line, Marks, plot, timeline
from deflicker.report.templating import REPORT_TEMPLATES, asset, csp_hash, render_template
from deflicker.report.terms import GUARDS, METRICS, Better, Term, allowed_range, show
from deflicker.report.timeline_rows import timeline_rows

_VERDICT_CLASSES: dict[Judgement, str] = {"improved": "good", "steady": "good", "flickers": "bad", "harmed": "bad"}
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src '{style}'; script-src '{script}'"
_SAME = 0.02
"""Relative change below which no arrow is drawn; for scores that end at 1, relative to their distance from 1."""
_WORSE = 0.1
"""Relative rise from which one of the six numbers is red. Numbers that nothing touched move a little, too."""


@dataclass(frozen=True)
class _Change:
    """The arrow beside a metric."""

    arrow: str
    css: Literal["good", "bad", ""] = ""
    title: str = ""
    word: str = ""


@dataclass(frozen=True)
class _Row:
    """A line of a table of numbers."""

    term: Term
    values: tuple[str, ...]
    missing: str = ""
    """Why there is no value."""
    change: _Change | None = None
    allowed: str = ""
    holds: bool = True


def render(document: Document, gallery: Gallery | None) -> str:
    """The whole page for a report's `to_dict()`."""
    measures = document["measures"]
    is_run = "target" in document
    pair = is_run or document["other"] is not None
    css, script = asset(REPORT_TEMPLATES / "report.css"), asset(REPORT_TEMPLATES / "report.js")
    return render_template(
        REPORT_TEMPLATES / "report.html",
        name=Path(document["source"]).name,
        subtitle=_subtitle(document),
        policy=_POLICY.format(style=csp_hash(css), script=csp_hash(script)),
        css=css,
        script=script,
        pair=pair,
        first="before" if pair else "as it is",
        measures=measures,
        verdict_class=_VERDICT_CLASSES.get(measures["verdict"]["judgement"], "") if measures else "",
        gallery=gallery,
        cards=list(_cards(measures, pair=pair)) if measures else [],
        timeline=Markup(timeline(document["frames"], timeline_rows(document))) if measures else "",
        metrics=list(_metrics(measures, pair=pair)) if measures else [],
        guards=list(_guards(measures)) if measures else [],
        plots=[Markup(each) for each in _plots(measures, pair=pair)] if measures else [],
        facts=[*(_run_facts(document) if is_run else _common_facts(document)), *_notes(document)],
        settings=[(name, "–" if text in ("None", "{}") else text) for name, text in document["settings"].items()],
    )


def _subtitle(document: Document) -> str:
    length = f"{document['frames']} frames, {document['duration_s']:.1f} s"
    if "target" in document:
        return f"corrected to {Path(document['target']).name} · {length}"
    other = document["other"]
    return f"compared with {Path(other).name} · {length}" if other else f"as it is · {length}"


# --- Six numbers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Card:
    """One of the six numbers that come first."""

    title: str
    meaning: str
    before: str
    after: str
    unit: str
    css: str


_CARDS = ("flicker_whole_y", "flicker_local_y", "seams", "boil")
_CARDS_OF_ONE = ("flicker_whole_cb", "flicker_whole_cr")
_GUARD_CARDS = ("sharpness", "psnr")


def _cards(measures: Document, *, pair: bool) -> Iterator[_Card]:
    """What flickered, and what it cost: four metrics and two guards, or six metrics of a video by itself."""
    for name in (*_CARDS, *(() if pair else _CARDS_OF_ONE)):
        term, metric = METRICS[name], measures["metrics"][name]
        before, after = metric["before"], metric["after"]
        change = _change(before, after, term.better)
        css = change.css if change else ""
        if css == "bad" and before and after and after < (1 + _WORSE) * before:
            css = ""
        shown = show(term, after) if pair else ""
        yield _Card(term.title, term.meaning, show(term, before), shown, term.unit, css)
    for name in _GUARD_CARDS if pair else ():
        term, guard = GUARDS[name], measures["guards"][name]
        css = "" if guard["holds"] else "bad"
        yield _Card(term.title, term.meaning, "", show(term, guard["value"]), term.unit, css)


# --- Numbers ----------------------------------------------------------------------------------------------------------


def _metrics(measures: Document, *, pair: bool) -> Iterator[_Row]:
    for name, metric in measures["metrics"].items():
        term, before, after = METRICS[name], metric["before"], metric["after"]
        if before is None and after is None:
            yield _Row(term, (), missing=metric["reason"] or "–")
        else:
            values = (before, after) if pair else (before,)
            yield _Row(term, tuple(show(term, value) for value in values), change=_change(before, after, term.better))


def _change(before: float | None, after: float | None, better: Better) -> _Change | None:
    if before is None or after is None:
        return None
    change = after - before
    if abs(change) <= _SAME * abs(1 - before if better == "higher" else before):
        return _Change("=", title="the same")
    arrow, went = ("▲", "higher") if change > 0 else ("▼", "lower")
    if better == "neither":
        return _Change(arrow, title=went)
    if went == better:
        return _Change(arrow, "good", f"{went}, which is better", "better")
    return _Change(arrow, "bad", f"{went}, which is worse", "worse")


def _guards(measures: Document) -> Iterator[_Row]:
    for name, guard in measures["guards"].items():
        term = GUARDS[name]
        if guard["value"] is None:
            yield _Row(term, (), missing=guard["reason"] or "–")
        else:
            allowed = allowed_range(guard["at_least"], guard["at_most"])
            yield _Row(term, (show(term, guard["value"]),), allowed=allowed, holds=guard["holds"])


def _plots(measures: Document, *, pair: bool) -> Iterator[str]:
    course, drift = measures["course"], measures["drift"]
    first = "before" if pair else "as it is"

    def lines(before: tuple[float | None, ...], after: tuple[float | None, ...]) -> list[Line]:
        return [Line(first, "before", before), Line("after", "after", after)]

    marks = [Marks("cut", "cut", measures["shots"][1:]), Marks("seam", "seam", measures["seams_before"])]
    for title, name in (
        ("Flicker of the whole picture, levels of 255", "flicker"),
        ("Warping error to the next frame, levels of 255", "ewarp"),
    ):
        yield plot(title, "frame", course["frames"], lines(course[f"{name}_before"], course[f"{name}_after"]), marks)
    if any(value is not None for value in drift["before"]):
        title = "Drift: how different frames look (LPIPS)"
        yield plot(title, "frames apart", drift["lags"], lines(drift["before"], drift["after"]))


# --- The run ----------------------------------------------------------------------------------------------------------


def _common_facts(document: Document) -> Iterator[tuple[str, str]]:
    yield "time", f"{document['elapsed_s']:.1f} s"
    yield "device", f"{document['device']}: {document['device_reason']}"


def _run_facts(document: Document) -> Iterator[tuple[str, str]]:
    yield from _common_facts(document)
    yield "changed", f"{document['frames_changed']} of {document['frames']} frames, encoded with {document['codec']}"
    yield "copied", ", ".join(document["copied"]) or "nothing else was there"
    for line in skipped_lines([SkippedRange(**each) for each in document["skipped"]]):
        yield "skipped", line
    for line in texture_lines([ShotTexture(**each) for each in document["texture"]]):
        yield "texture", line
    for line in document["dropped"] or ("nothing",):
        yield "dropped", line
    for what, count in document["damage"].items():
        yield "damaged", f"{what} ({count} times)"
    if document["frames_diverged"]:
        yield "uncorrected", f"{document['frames_diverged']} frames"


def _notes(document: Document) -> Iterator[tuple[str, str]]:
    for note in (*document["notes"], *(document["measures"] or {"notes": ()})["notes"]):
        yield "note", note
    yield "versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items())

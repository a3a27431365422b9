"""Reports as files: HTML for people, JSON for programs, CSV for spreadsheets. Whole or not there at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from pathlib import Path

from deflicker.core.errors import OutputError
from deflicker.core.files import Lock, sweep, unfinished_name
from deflicker.report.model import Measurement, Report

KINDS = (".html", ".json", ".csv")


def check(path: Path, *, overwrite: bool) -> None:
    """Find out before a run whether `save` will be able to. Raises OutputError."""
    if path.suffix.lower() not in KINDS:
        raise OutputError(f"{path}: the name of a report ends in one of {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; use -y to replace it")


def save(report: Report | Measurement, path: Path, *, overwrite: bool = False) -> None:
    """Write a report as the end of its name says. Raises OutputError."""
    check(path, overwrite=overwrite)
    kind = path.suffix.lower()
    if kind == ".html":
        from deflicker.report.html_page import page

        text = page(report)
    else:
        text = to_csv(report) if kind == ".csv" else to_json(report)
    sweep(path)
    beside, lock = unfinished_name(path), None
    try:
        lock = Lock(beside)
        beside.write_bytes(text.encode("utf-8", "replace"))  # file names need not be any text
        os.replace(beside, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # gone already, or with its folder
            beside.unlink()
        if lock:
            lock.release()


def to_json(report: Report | Measurement) -> str:
    """The fields of `to_dict()`; numbers are finite or null."""
    return json.dumps(report.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(report: Report | Measurement) -> str:
    """One line for each number: kind, name, frame or distance, before, after. Lines of kind `frame` are the course."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["kind", "name", "at", "before", "after", "note"])
    measures = report.measures
    if measures is None:
        return file.getvalue()
    rows.writerow(["verdict", measures.verdict.judgement, "", "", "", "; ".join(measures.verdict.reasons)])
    for metric in measures.metrics:
        rows.writerow(["metric", metric.name, "", _cell(metric.before), _cell(metric.after), metric.reason])
    for guard in measures.guards:
        rows.writerow(["guard", guard.name, "", "", _cell(guard.value), "holds" if guard.holds else "broken"])
    for side, frames in (("before", measures.seams_before), ("after", measures.seams_after)):
        rows.writerows(["seam", side, frame, "", "", ""] for frame in frames)
    rows.writerows(["shot", "", frame, "", "", ""] for frame in measures.shots)
    drift, course = measures.drift, measures.course
    for name, places, before, after in (
        ("drift", drift.lags, drift.before, drift.after),
        ("flicker", course.frames, course.flicker_before, course.flicker_after),
        ("ewarp", course.frames, course.ewarp_before, course.ewarp_after),
    ):
        kind = "lag" if name == "drift" else "frame"
        for number, place in enumerate(places):
            both = [_cell(column[number]) if column else "" for column in (before, after)]
            rows.writerow([kind, name, place, *both, ""])
    return file.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

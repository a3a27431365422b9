"""Reports as files: HTML for people, JSON for programs, CSV for spreadsheets. Files are replaced atomically."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deflicker.core.errors import OutputError
from deflicker.core.files import TemporaryFolder
from deflicker.report.gallery import Gallery
from deflicker.report.results import Document

if TYPE_CHECKING:
    from _csv import Writer

Numbers = Sequence[float | None]

KINDS = (".html", ".json", ".csv")


def check(path: Path, *, overwrite: bool) -> None:
    """Check before a run whether `save` can write this file. Raises OutputError."""
    if path.suffix.lower() not in KINDS:
        raise OutputError(f"{path}: the name of a report ends in one of {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists; use -y to replace it")


def save(document: Document, gallery: Gallery | None, path: Path, *, overwrite: bool = False) -> None:
    """Write a report's document in the format that the file's extension names. Raises OutputError.

    gallery: pictures for the HTML page.
    """
    check(path, overwrite=overwrite)
    kind = path.suffix.lower()
    if kind == ".html":
        from deflicker.report.html_page import render

        text = render(document, gallery)
    else:
        text = to_csv(document) if kind == ".csv" else to_json(document)
    try:
        with contextlib.closing(TemporaryFolder.beside(path)) as folder:
            unfinished = folder.path / path.name
            unfinished.write_bytes(text.encode("utf-8", "replace"))  # file names need not be any text
            os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def to_json(document: Document) -> str:
    """The document as JSON; numbers are finite or null."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(document: Document) -> str:
    """One line per number: kind, name, frame or lag, before, after. Lines of kind `frame` are the course."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["kind", "name", "at", "before", "after", "note"])
    measures = document["measures"]
    if measures is None:
        return file.getvalue()
    verdict = measures["verdict"]
    rows.writerow(["verdict", verdict["judgement"], "", "", "", "; ".join(verdict["reasons"])])
    for name, metric in measures["metrics"].items():
        rows.writerow(["metric", name, "", _cell(metric["before"]), _cell(metric["after"]), metric["reason"]])
    for name, guard in measures["guards"].items():
        rows.writerow(["guard", name, "", "", _cell(guard["value"]), "holds" if guard["holds"] else "broken"])
    for side in ("before", "after"):
        rows.writerows(["seam", side, frame, "", "", ""] for frame in measures[f"seams_{side}"])
    rows.writerows(["shot", "", frame, "", "", ""] for frame in measures["shots"])
    drift, course = measures["drift"], measures["course"]
    _write_curves(rows, "lag", "drift", drift["lags"], (drift["before"], drift["after"]))
    for name in ("flicker", "ewarp"):
        _write_curves(rows, "frame", name, course["frames"], (course[f"{name}_before"], course[f"{name}_after"]))
    return file.getvalue()


def _write_curves(rows: Writer, kind: str, name: str, places: Numbers, columns: tuple[Numbers, Numbers]) -> None:
    for number, place in enumerate(places):
        rows.writerow([kind, name, place, *(_cell(column[number]) if column else "" for column in columns), ""])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"

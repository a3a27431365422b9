"""The report's timeline: a row for each kind of span, each at its place, with its reason."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from deflicker.report.frame_notes import ShotTexture, SkippedRange
from deflicker.report.svg import Row, Span, timeline
from deflicker.report.timeline_rows import timeline_rows
from tests.report.made import measurement, report


def test_spans_are_where_their_frames_are() -> None:
    """Labels take 100 of 640 px, the right margin 10: 100 frames of 5.3 px."""
    svg = ElementTree.fromstring(timeline(100, [Row("shots", "shot", [Span(0, 49, "a"), Span(50, 99, "<b>")])]))
    first, second = svg.iter("rect")
    assert [float(first.get("x") or 0), float(second.get("x") or 0)] == pytest.approx([100, 365], abs=0.1)
    assert float(second.get("width") or 0) == pytest.approx(265, abs=0.1)
    assert second.findtext("title") == "<b>"


def test_a_single_frame_can_be_seen_in_a_long_video() -> None:
    svg = ElementTree.fromstring(timeline(100_000, [Row("seams", "seam", [Span(5, 5, "seam")])]))
    assert float(next(svg.iter("rect")).get("width") or 0) >= 2


def test_what_a_run_did_is_on_it() -> None:
    made = replace(
        report(),
        frames=12,
        skipped=(SkippedRange(3, 4, "flash"), SkippedRange(6, 6, "excluded")),
        texture=(ShotTexture(2, "pixel", 0.4, 2.0, "it boils"),),
    )
    rows = {row.name: row.spans for row in timeline_rows(made.to_dict())}
    assert [(span.first, span.last) for span in rows["shots"]] == [(0, 1), (2, 11)]
    assert [(span.first, span.last) for span in rows["texture"]] == [(2, 11)]
    assert [span.first for span in rows["seams"]] == [1]
    assert rows["flashes"][0].text == "frames 3-4: left alone: a flash of light"
    assert rows["excluded"][0].text == "frames 6: left alone: excluded"


def test_a_video_that_was_only_measured_has_shots_and_seams() -> None:
    assert [row.name for row in timeline_rows(measurement().to_dict()) if row.spans] == ["shots", "seams"]

"""Plots: right places, gaps, no spike lost, nothing smuggled in."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from deflicker.report.svg import Line, Marks, _round_up, plot


def drawn(*lines, x=(0, 1, 2), marks=()):
    text = plot("title", "frame", x, lines, marks)
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", text)[0])
    return text, svg


def test_a_line_by_hand():
    """Axis from 44 to 470 across; 10 at the top (12), 0 at the bottom (176)."""
    _, svg = drawn(Line("before", "before", (0.0, 5.0, 10.0)))
    (path,) = svg.iter("path")
    assert path.get("d") == "M44.0 176.0L257.0 94.0L470.0 12.0"
    assert path.get("class") == "line before"


def test_gaps_are_gaps():
    _, svg = drawn(Line("a", "before", (1.0, None, 1.0)))
    assert next(svg.iter("path")).get("d").count("M") == 2


def test_marks_and_legend():
    text, svg = drawn(Line("a", "before", (1.0, 1.0, 1.0)), marks=[Marks("cut", "cut", [1]), Marks("none", "seam", [])])
    assert [line.get("x1") for line in svg.iter("line") if line.get("class") == "cut"] == ["257.0"]
    assert "cut" in text
    assert "seam" not in text


def test_no_spike_is_lost_in_a_long_video():
    values = [0.0] * 100_000
    values[54_321] = 7.0
    text, svg = drawn(Line("a", "before", values), x=range(100_000))
    assert len(text) < 20_000
    assert f"{176 - 164 * 7 / 10:.1f}" in next(svg.iter("path")).get("d")


@pytest.mark.parametrize(
    ("values", "path"), [((), None), ((None, None, None), ""), ((0.0, 0.0, 0.0), "M44.0 176.0L257.0 176.0L470.0 176.0")]
)
def test_nothing_to_draw(values, path):
    """An empty line has no key in the legend; the axis ends at 1."""
    text, svg = drawn(Line("a", "before", values))
    assert [each.get("d") for each in svg.iter("path")] == ([] if path is None else [path])
    assert ('class="key before"' in text) == (path is not None)
    assert svg.find("text[@class='end']") is not None
    assert max(float(each.text) for each in svg.iter("text") if each.get("class") == "end") == 1


def test_titles_are_escaped():
    assert "<b>" not in plot("<b>", "<b>", [0, 1], [Line("<b>", "before", (1.0, 2.0))], [Marks("<b>", "cut", [1])])


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.7, 1), (1, 1), (1.2, 2), (3, 5), (6, 10), (0.0123, 0.02), (180, 200)]
)
def test_round_up(value, top):
    assert _round_up(value) == pytest.approx(top)

"""`deflicker explain` says what was measured, when, and which command follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deflicker.report.explanation import BLOCKS, Clock, command, explanation, kinds_of_flicker, plot
from deflicker.report.results import Course, Measures, Metric
from tests.report.made import measurement, measures


def measured(seams: tuple[int, ...] = (), **values: float) -> Measures:
    """A video in which nothing flickers but what is named."""
    found = measures(pair=False)
    quiet = tuple(Metric(metric.name, values.get(metric.name, 0.0), None) for metric in found.metrics)
    return replace(found, metrics=quiet, seams_before=seams)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"flicker_whole_y": 4.0}, "strong, 4.0 levels"),
        ({"flicker_whole_y": 0.6}, "weak, 0.6 levels"),
        ({"flicker_whole_cr": 0.4}, "Tint"),
        ({"flicker_local_y": 3.0}, "Brightness of regions"),
        ({"boil": 0.5}, "Texture that changes"),
    ],
)
def test_each_kind_is_named_by_itself(values: dict[str, float], word: str) -> None:
    (kind,) = kinds_of_flicker(measured(**values), Clock())
    assert word in f"{kind.title}: {kind.detail}"


def test_seams_have_their_times() -> None:
    (kind,) = kinds_of_flicker(measured((16, 32), seam_period=16.0), Clock(fps=8.0, start_s=10.0))
    assert kind.detail == "2, every 16 frames: 12.00 s, 14.00 s"


def test_a_steady_video_asks_for_nothing() -> None:
    found = replace(measurement(), measures=measured())
    lines = explanation(found, "out.mp4")
    assert "* No flicker that stands out." in lines
    assert "  deflicker in.mp4 out.mp4" not in lines
    assert lines[-1] == "  deflicker in.mp4 out.mp4 --anchor 1"


def test_texture_alone_may_be_water_and_asks_for_nothing() -> None:
    lines = explanation(replace(measurement(), measures=measured(boil=0.7)), "out.mp4")
    assert any("moving water and fire" in line for line in lines)
    assert any(line.startswith("There is nothing to correct") for line in lines)


@pytest.mark.parametrize(("boil", "guide", "fire"), [(0.3, False, False), (0.5, True, False), (0.7, True, True)])
def test_texture_that_changes_may_ask_for_a_guide_or_be_fire(boil: float, guide: bool, fire: bool) -> None:
    found = replace(measurement(), measures=measured(boil=boil, flicker_whole_y=3.0))
    text = "\n".join(explanation(found, "out.mp4"))
    assert ("out.mp4 --guide SOURCE" in text, "fire, water or smoke" in text) == (guide, fire)


def test_the_command_is_one_a_shell_takes() -> None:
    assert command("my clip.mp4", "o.mp4", measured(flicker_whole_y=4.0)) == "deflicker 'my clip.mp4' o.mp4"
    assert command("a.mp4", "o.mp4", measured(boil=0.7)).endswith("--preset quality")


def test_the_plot_is_highest_where_it_flickers_most() -> None:
    values = tuple(5.0 if n == 40 else 0.1 for n in range(100))
    _, line, times, most = plot(Course(tuple(range(100)), values, (), (), ()), Clock(fps=10.0))
    assert line.strip().index(BLOCKS[-1]) == pytest.approx(0.4 * 64, abs=1)
    assert times.split() == ["0.00", "s", "9.90", "s"]
    assert "4.00 s: 5.0 levels" in most


def test_nothing_to_plot_is_no_plot() -> None:
    assert plot(Course((), (), (), (), ()), Clock()) == []
    assert plot(Course((0,), (None,), (), (), ()), Clock()) == []

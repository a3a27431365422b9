"""What the benchmark writes: tables, ablations, plots, JSON and back. All from rows whose numbers are made up."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deflicker import Settings
from deflicker.core.presets import PRESETS
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.pipeline.run_context import Models
from scripts.bench import ablations, memory, options, peers, plots, scores, speed, synthetic, tables
from scripts.bench.quality import Row, joined
from scripts.bench.stages import NAMES, stages
from scripts.bench.without import TERMS, TONE, left_out
from tests.fakes import Still

ROOT = Path(__file__).parent.parent


def row(method: str, psnr: float, *, clip: str = "a", kind: str = "global", seed: int = 1, h264: bool = False) -> Row:
    found = scores.Scores(psnr, psnr, psnr - 1, 39.0, 0.9, 3.0, 2.0, 1.0, 0.125)
    return Row(clip, kind, seed, h264, method, 8, 0, 2.0, found, 45.0)


# --- Tables -----------------------------------------------------------------------------------------------------------


def test_the_table_has_means_of_clips_and_the_worst() -> None:
    rows = [row("ste", 30.0), row("ste", 40.0, seed=2), row("ste", 25.0, clip="b"), row("ste", 25.0, clip="b", seed=2)]
    head, line = tables.quality(rows)
    assert line[:3] == ["global", "ste", "30.0 (25.0)"]
    assert dict(zip(head, line, strict=True)) | {"LPIPS": "0.1250", "E_warp": "3.00 / 2.00", "oracle": "45.0"} == dict(
        zip(head, line, strict=True)
    )
    assert [each[2] for each in tables.by_clip(rows)[1:]] == ["35.0 / 34.0", "25.0 / 24.0"]
    assert "| global | ste |" in tables.markdown(tables.quality(rows))


def test_what_went_through_h264_is_a_kind_of_its_own() -> None:
    rows = [row("ste", 30.0), row("ste", 20.0, h264=True)]
    assert [line[:3] for line in tables.quality(rows)[1:]] == [
        ["global", "ste", "30.0 (30.0)"],
        ["global, H.264", "ste", "20.0 (20.0)"],
    ]


def test_lpips_that_was_left_out_is_a_dash() -> None:
    bare = row("ste", 30.0)
    bare = replace(bare, scores=replace(bare.scores, lpips=None))
    head, line = tables.quality([bare])
    assert line[head.index("LPIPS")] == "–"


def test_harm_is_named() -> None:
    rows = [
        row("input", 30.0),
        row("deflicker", 29.7),
        row("input", 99.0, kind="none"),
        row("deflicker", 41.9, kind="none"),
    ]
    rows += [row("input", 30.0, clip="b"), row("deflicker", 29.9, clip="b")]
    assert tables.harm(rows, "deflicker") == [
        "deflicker: a, global, seed 1: 0.3 dB below the input",
        "deflicker: a, none: 41.9 dB on a clip that needed nothing",
    ]


def test_a_better_method_is_named() -> None:
    rows = [row("deflicker", 30.0), row("ste", 30.05), row("bonneel", 30.2)]
    assert tables.beaten(rows, "deflicker", ("ste", "bonneel", "destrobe")) == [
        "global, PSNR: bonneel 30.2 dB, deflicker 30.0 dB",
        "global, temporal PSNR: bonneel 29.2 dB, deflicker 29.0 dB",
    ]


# --- Ablations --------------------------------------------------------------------------------------------------------


def test_every_term_is_run_without_and_anchors_with() -> None:
    runs = ablations.tools(TERMS, "quality")
    assert len(runs) == len(TERMS)
    assert runs["without gate"] == ("--without", "gate")
    assert runs["with anchors"] == ("--anchor", "1")  # the full run is the one without
    each = [set(ablations.tools(TERMS, preset)) for preset in ("fast", "balanced", "quality")]
    assert [more - fewer for fewer, more in pairwise(each)] == [
        {"without texture", "without sharpness"},
        {"without locking"},
    ]
    assert set(ablations.pairs(list(runs))) == set(TERMS)


def test_every_term_of_tone_changes_its_options() -> None:
    full = ToneOptions.of(PRESETS["balanced"])
    assert all(leave_out(full) != full for leave_out in TONE.values())
    assert [term for term in TERMS if term != "anchors" and not callable(left_out(term))] == []


def test_an_ingredient_costs_what_its_absence_loses() -> None:
    rows = [row("deflicker", 40.0), row("without gate", 37.0), row("with anchors", 39.0)]
    rows += [row("deflicker", 30.0, clip="b"), row("without gate", 31.0, clip="b"), row("with anchors", 30.0, clip="b")]
    rows += [row("deflicker", 50.0, kind="seam"), row("without gate", 50.0, kind="seam")]
    assert ablations.table(rows) == [
        ["without", "global", "seam", "loses most", "gains most", "time"],
        ["gate", "−1.0 / −1.0", "0.0 / 0.0", "−3.0 (a, global)", "+1.0 (b, global)", "× 1.00"],
        ["anchors", "+0.5 / +0.5", "– / –", "–", "+1.0 (a, global)", "× 1.50"],
    ]
    assert ablations.table([row("deflicker", 40.0)]) is None


# --- Plots ------------------------------------------------------------------------------------------------------------


def drawn(svg: str) -> tuple[list[str], dict[str, float]]:
    """Texts of a picture, and the length of each bar by its tip."""
    name = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{name}svg"
    texts = [text.text or "" for text in root.iter(f"{name}text")]
    bars = {bar.findtext(f"{name}title") or "": float(bar.attrib["width"]) for bar in root.iter(f"{name}rect")}
    return texts, bars


def test_bars_are_as_long_as_their_numbers_and_say_them() -> None:
    svg = plots.bars("A < B", [plots.Group("k & l", [plots.Bar("x", 10.0), plots.Bar("<y>", 5.0, "own", "(half)")])])
    texts, bars = drawn(svg)
    assert {"A < B", "k & l", "x", "<y>", "10.0", "5.0 (half)"} <= set(texts)
    assert bars["k & l, <y>: 5.0 (half)"] * 2 == pytest.approx(bars["k & l, x: 10.0"])


def test_a_bar_that_is_too_long_ends_but_keeps_its_number() -> None:
    texts, bars = drawn(plots.bars("t", [plots.Group("g", [plots.Bar("x", 99.0), plots.Bar("y", 60.0)])], most=60))
    assert "99.0" in texts
    assert bars["g, x: 99.0"] == bars["g, y: 60.0"]


def test_plots_of_quality_leave_ablations_out() -> None:
    found = plots.of_quality([row("input", 30.0), row("deflicker", 42.3), row("without gate", 37.0)])
    texts, bars = drawn(found["quality_psnr"])
    assert {"input", "deflicker", "42.3", "30.0"} <= set(texts)
    assert set(bars) == {"global, input: 30.0", "global, deflicker: 42.3"}
    assert "41.3" in drawn(found["quality_temporal"])[0]


def test_nothing_measured_is_an_empty_plot() -> None:
    assert drawn(plots.bars("t", [])) == (["t"], {})


# --- Speed and memory -------------------------------------------------------------------------------------------------

SPEEDS = [
    speed.Row(854, 480, 5, "ffmpeg_deflicker", 120, 40.0, None, 137.0, None),
    speed.Row(854, 480, 5, "fast", 120, 8.0, 1.7, 1252.0, None, 0.2, "cpu", {"decode": 700.0, "flow": 10.0}),
    speed.Row(854, 480, 5, "balanced", 120, 2.0, 1.7, 1900.0, None, 0.05, "cpu", {"flow": 9.0, "texture": 3.0}),
]


def test_speed_says_how_much_hides_behind_the_slowest_stage() -> None:
    head, *lines = speed.table(SPEEDS)
    assert head[9:] == ["decode", "flow", "texture", "total / slowest"]
    assert [line[9:] for line in lines] == [
        ["–", "–", "–", "–"],
        ["700.0", "10.0", "–", "1.25"],
        ["–", "9.0", "3.0", "1.50"],
    ]
    assert [speed.Row.from_dict(each.to_dict()) for each in SPEEDS] == SPEEDS


def test_plots_of_speed_and_memory() -> None:
    found = plots.of_speed(SPEEDS)
    assert "854x480, 5 s, fast, cpu: 8.00" in drawn(found["speed"])[1]
    assert "854x480, 5 s, balanced, cpu: 1900" in drawn(found["speed_memory"])[1]
    runs = [memory.Row(640, 360, s, 24 * s, "fast", "cpu", 1000.0 + s, None, 9.0, 1 + s / 1000) for s in (10, 300)]
    assert "640x360, fast, cpu, 300 s: 1300 (× 1.300)" in drawn(plots.of_memory(runs)["memory"])[1]
    assert memory.table(runs)[2][3:6] == ["300", "7200", "1300"]


def test_each_clip_is_measured_and_slow_peers_once_a_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str, int]] = []

    def measure(what: str, source: str, target: str, *more: str) -> dict[str, float | None]:
        asked.append((what, more[more.index("--preset") + 1] if "--preset" in more else more[0], frames[-1]))
        if what == "deflicker":
            event = {"event": "result", "frames": frames[-1], "elapsed_s": 4.0, "device": "cpu"}
            Path(more[more.index("--log-json") + 1]).write_text(json.dumps(event))
        return {"frames": frames[-1], "seconds": 5.0, "peak_mb": 100.0, "gpu_peak_mb": None}

    frames: list[int] = []
    monkeypatch.setattr(speed, "measure", measure)
    monkeypatch.setattr(synthetic, "write", lambda path, width, height, count, rate: frames.append(count))
    plan = speed.Plan([(1920, 1080)], ["fast"], [2, 1], 10, ["auto"], ["ste", "atadenoise"], stages=False)
    rows = list(speed.run(plan, tmp_path))
    assert asked == [
        ("deflicker", "fast", 12),
        ("ffmpeg", "deflicker", 10), ("ffmpeg", "atadenoise", 10), ("deflicker", "fast", 10),
        ("ffmpeg", "deflicker", 20), ("ffmpeg", "atadenoise", 20), ("deflicker", "fast", 20),
        ("peer", "ste", 19),
    ]  # fmt: skip
    assert [(each.method, each.seconds, each.to_ffmpeg) for each in rows[2:]] == [
        ("fast", 1, 1.25), ("ffmpeg_deflicker", 2, 1.0), ("atadenoise", 2, 1.0), ("fast", 2, 1.25), ("ste", 2, 0.95),
    ]  # fmt: skip
    assert rows[2].start_s == 1.0


def test_texture_is_a_stage_where_the_preset_has_it(tmp_path: Path) -> None:
    synthetic.write(tmp_path / "in.mp4", 96, 64, 10)
    found = {
        preset: stages(
            tmp_path / "in.mp4",
            tmp_path / "out.mp4",
            Settings(preset=preset, device="cpu", overwrite=True),
            Models(flow=Still()),
        )
        for preset in ("fast", "balanced")
    }
    assert list(found["balanced"]) == list(NAMES)
    assert list(found["fast"]) == [name for name in NAMES if name != "texture"]
    assert all(fps > 0 for fps in found["balanced"].values())


def test_a_clip_that_fills_no_window_tells_nothing_about_memory() -> None:
    assert memory.settled_frames(["fast"]) == 2 * (12 + 16 + 12)
    assert memory.settled_frames(["fast", "balanced"]) == 2 * (16 + 16 + 16)


# --- The command line and what it wrote before ------------------------------------------------------------------------


def test_sizes_have_names() -> None:
    assert options.sizes("360p,2160p,100x50") == [(640, 360), (3840, 2160), (100, 50)]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ArgumentTypeError, match="there is no 'x': choose from a, b"):
        options.names_of(("a", "b"))("a,x")


def test_a_peer_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "destrobe", None)
    assert "destrobe" in (peers.missing("destrobe") or "")
    assert peers.missing("ste") is None


def file(preset: str, *rows: Row) -> dict[str, object]:
    return {
        "command": "quality",
        "settings": {"preset": preset, "width": 480},
        "machine": "a machine",
        "rows": [each.to_dict() for each in rows],
    }


def test_runs_are_joined_and_other_presets_named() -> None:
    one = file("balanced", row("input", 30.0), row("deflicker", 40.0), row("ste", 35.0))
    two = file("quality", row("input", 30.0), row("deflicker", 41.0))
    again = file("balanced", row("deflicker", 40.5))
    found = joined([one, two, again])
    assert [(each.method, each.scores.psnr) for each in found] == [
        ("input", 30.0), ("deflicker", 40.5), ("ste", 35.0), ("deflicker, quality", 41.0),
    ]  # fmt: skip


def test_show_makes_tables_and_plots_of_runs_that_are_done(tmp_path: Path) -> None:
    numbers, page, folder = tmp_path / "a.json", tmp_path / "out.md", tmp_path / "plots"
    numbers.write_text(
        json.dumps(file("balanced", row("input", 30.0), row("deflicker", 41.2), row("without gate", 38.2)))
    )
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "show", str(numbers)]
    done = subprocess.run([*command, "--markdown", str(page), "--plots", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| global | deflicker | 41.2 (41.2) |" in page.read_text()
    assert "| gate | −3.0 / −3.0 |" in page.read_text()
    assert "41.2" in drawn((folder / "quality_psnr.svg").read_text())[0]

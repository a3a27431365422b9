"""`measure`, `fvd` and `--report` as a user meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deflicker.report.model import Fvd
from deflicker.report.text import coherence, distance
from tests.assets import make_video
from tests.report.made import measurement

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_measure_one(command: Command, clip: Path, raft: None) -> None:
    done = command("measure", clip, "--preset", "fast", "--no-lpips")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("flickers: flicker of the whole picture")
    assert any(line.startswith("Coherence (TCS)") and "LPIPS was not asked for" in line for line in lines)


def test_explain(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    done = command("explain", clip, "--preset", "fast", "--start", "2f")
    assert (done.returncode, done.stderr) == (0, "")
    assert "* Brightness of the whole picture: " in done.stdout
    assert "most at 0." in done.stdout
    assert "in_steady.mp4" in done.stdout.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_measure_two_as_json_with_a_report(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    make_video(tmp_path / "after.mp4", flicker=0)
    words = ("measure", "in.mp4", "after.mp4", "--preset", "fast", "--no-lpips", "--json", "--report", "r.html")
    done = command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["other"] == "after.mp4"
    assert found["measures"]["metrics"]["flicker_whole_y"]["after"] < 1
    assert "</html>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    again = command(*words)
    assert again.returncode == 4
    assert "-y" in again.stderr


def test_a_run_with_report_and_comparison(command: Command, clip: Path, tmp_path: Path, raft: None) -> None:
    clip.rename(tmp_path / "<script>alert(1)<.mp4")
    extras = ("--report", "r.html", "--no-lpips", "--compare", "c.mp4", "--compare-style", "split")
    done = command("<script>alert(1)<.mp4", "out.mp4", "--preset", "fast", *extras)
    assert done.returncode == 0, done.stderr
    assert "verdict: improved" in done.stderr
    assert "report:  r.html" in done.stderr
    assert (tmp_path / "c.mp4").stat().st_size
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("in.mp4", "out.mp4", "--report", "r.pdf"), 4, ".html, .json, .csv"),
        (("in.mp4", "out.mp4", "--report", "none/r.html"), 4, "no folder"),
        (("in.mp4", "out.html", "--report", "out.html"), 2, "is the output"),
        (("in.mp4", "out.mp4", "--compare", "in.mp4"), 2, "is the input"),
        (("in.mp4", "out.mp4", "--report", "a.json", "--compare", "a.json"), 2, "--report writes"),
        (("in.mp4", "out.mp4", "--compare", "c.mp4", "--compare-style", "x"), 2, "side or split"),
        (("measure",), 2, "missing argument"),
        (("measure", "nowhere.mp4"), 3, "no such file"),
        (("measure", "in.mp4", "--weights", "in.mp4"), 2, "is not a folder"),
        (("fvd", "nowhere", "in.mp4"), 3, "no such file or folder"),
        (("./measure", "out.mp4"), 3, "no such file"),
    ],
)
def test_mistakes_cost_no_time(
    words: tuple[str, ...], code: int, message: str, command: Command, clip: Path, tmp_path: Path
) -> None:
    done = command(*words)
    assert done.returncode == code
    assert message in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize("name", ["measure", "fvd"])
def test_help(name: str, command: Command) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert "--offline" in done.stdout


def test_what_measure_says() -> None:
    alone, both = (coherence(measurement(other=other)) for other in (None, "b.mp4"))
    assert "value" in alone[0]
    assert "before" in both[0]
    assert sum("BROKEN" in line for line in both) == 2, "a PSNR of 1 dB, an LPIPS of 1"
    assert both[-1].startswith("improved: ")
    assert "what the encoder lost" in both[-2], "a guard is broken"
    assert not any("encoder" in line for line in alone)


def test_what_fvd_says() -> None:
    assert distance(Fvd("a", "b", 12.345, 20, 21, 16, ("too few",))) == [
        "FVD 12.35 (20 and 21 clips of 16 frames)",
        "note: too few",
    ]

"""Many videos by one command: what is found, where it goes, and that one failure does not stop the rest."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from deflicker import InputError, SettingsError
from deflicker.cli import main as cli
from deflicker.cli.batch import Batch, Outcome, Task, run_all, tasks
from deflicker.cli.progress_bar import BatchBar
from deflicker.core.progress import Progress
from tests.assets import make_video
from tests.media.making import frames_of


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def pairs(folder: Path, paths: list[str], **options: Any) -> dict[str, str]:
    found = tasks([folder / path for path in paths], Batch(**options))
    return {str(t.source.relative_to(folder)): str(t.target.relative_to(folder)) for t in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return touched(tmp_path, "in/b.MP4", "in/a.mkv", "in/notes.txt", "in/.hidden.mp4", "in/deep/c.mov", "in/.x/d.mp4")


def test_a_folder(folder: Path) -> None:
    out = folder / "out"
    assert pairs(folder, ["in"], output_dir=out) == {"in/a.mkv": "out/a.mkv", "in/b.MP4": "out/b.MP4"}
    deep = pairs(folder, ["in"], output_dir=out, recursive=True)
    assert deep == {"in/a.mkv": "out/a.mkv", "in/b.MP4": "out/b.MP4", "in/deep/c.mov": "out/deep/c.mov"}


def test_files_and_patterns(folder: Path) -> None:
    found = pairs(folder, ["in/a.mkv", "in/*.M*", "in/notes.txt"], suffix="_s")
    assert found == {"in/a.mkv": "in/a_s.mkv", "in/b.MP4": "in/b_s.MP4", "in/notes.txt": "in/notes_s.txt"}
    assert pairs(folder, ["in/**/*.mov"], suffix="_s", recursive=True) == {"in/deep/c.mov": "in/deep/c_s.mov"}


def test_what_an_earlier_run_wrote_is_no_input(folder: Path) -> None:
    touched(folder, "in/a_s.mkv", "in/out/a.mkv")
    assert set(pairs(folder, ["in"], suffix="_s")) == {"in/a.mkv", "in/b.MP4"}
    assert "in/out/a.mkv" not in pairs(folder, ["in"], output_dir=folder / "in" / "out", recursive=True)


def test_formats_that_are_only_read(tmp_path: Path) -> None:
    assert pairs(touched(tmp_path, "a.vob"), ["a.vob"], suffix="_s") == {"a.vob": "a_s.mpg"}


def test_mistakes(folder: Path) -> None:
    with pytest.raises(InputError, match="no video in"):
        pairs(folder, ["in/*.avi"], suffix="_s")
    with pytest.raises(SettingsError, match="its own output"):
        pairs(folder, ["in/a.mkv"], output_dir=folder / "in")
    touched(folder, "more/a.mkv")
    with pytest.raises(SettingsError, match="would both become"):
        pairs(folder, ["in/a.mkv", "more/a.mkv"], output_dir=folder / "out")


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_failure_does_not_stop_the_rest(tmp_path: Path, jobs: int) -> None:
    todo = [Task(tmp_path / f"{n}.mp4", tmp_path / "out" / f"{n}.mp4") for n in range(6)]
    touched(tmp_path, "out/3.mp4")

    def work(task: Task, stop: Event) -> str:
        if task.source.stem == "2":
            raise ValueError("broken")
        return "fine"

    outcomes = list(run_all(todo, Batch(jobs=jobs, skip_existing=True), work, str))
    assert {(o.task.source.stem, o.state, o.message) for o in outcomes} == {
        *((n, "done", "fine") for n in "0145"),
        ("2", "failed", "broken"),
        ("3", "skipped", "already exists"),
    }


def test_closing_stops_what_runs_and_what_waits(tmp_path: Path) -> None:
    todo, started = [Task(tmp_path / f"{n}.mp4", tmp_path / f"{n}_s.mp4") for n in range(9)], []

    def work(task: Task, stop: Event) -> str:
        started.append(task)
        if len(started) > 1:
            assert stop.wait(60)
        return "fine"

    outcomes = run_all(todo, Batch(jobs=2), work, str)
    assert isinstance(next(outcomes), Outcome)
    outcomes.close()
    assert len(started) <= 4


def main(*words: object) -> int:
    with pytest.raises(SystemExit) as exit:
        cli.main([str(word) for word in words])
    assert isinstance(exit.value.code, int)
    return exit.value.code


@pytest.mark.usefixtures("raft")
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    make_video(tmp_path / "in" / "a.mp4", frames=8)
    make_video(tmp_path / "in" / "deep" / "b.mp4", frames=8)
    (tmp_path / "in" / "broken.mp4").write_text("This is no video.")
    words = ("in", "--output-dir", "out", "-r", "--jobs", 2, "--preset", "fast", "--device", "cpu")
    assert main(*words, "--log-json", "log") == 1
    out, err = capsys.readouterr()
    assert sorted(out.splitlines()) == ["out/a.mp4", "out/deep/b.mp4"]
    assert re.search(r"^done: in/a.mp4: \d of 8 frames changed, written to out/a.mp4$", err, re.MULTILINE)
    assert "failed: in/broken.mp4: cannot be read as a video" in err
    assert err.splitlines()[-1] == "videos: 2 done, 0 skipped, 1 failed"
    assert "Traceback" not in err
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(event["state"] for event in events if event["event"] == "file") == ["done", "done", "failed"]
    assert {event.get("frames") for event in events if event.get("state") == "done"} == {8}
    end = {name: value for name, value in events[-1].items() if name not in ("time", "elapsed_s", "frames_changed")}
    assert end == {
        "event": "end", "videos": 3, "done": 2, "skipped": 0, "failed": 1, "frames": 16,
        "failures": [{"source": "in/broken.mp4", "message": end["failures"][0]["message"]}],
    }  # fmt: skip
    assert "in/broken.mp4" in end["failures"][0]["message"]
    assert events[-1]["frames_changed"] == sum(event.get("frames_changed", 0) for event in events[:-1])
    (tmp_path / "in" / "broken.mp4").unlink()
    assert main(*words, "--skip-existing", "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mp4", "deep"]


@pytest.mark.usefixtures("raft")
def test_a_report_and_a_comparison_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "a.mkv"):
        make_video(tmp_path / "in" / name, frames=6)
    words = ("in", "--suffix", "_s", "--preset", "fast", "--device", "cpu", "--no-lpips", "-q")
    words = (*words, "--report", "report.json", "--compare", "seen.mp4")
    assert main(*words) == 0
    further = [f"{name}.{end}" for name in ("a_s.mkv", "a_s.mp4") for end in ("report.json", "seen.mp4")]
    assert sorted(os.listdir("in")) == sorted(["a.mkv", "a.mp4", "a_s.mkv", "a_s.mp4", *further])
    for name in ("a_s.mkv", "a_s.mp4"):
        report = json.loads((tmp_path / "in" / f"{name}.report.json").read_text())
        assert (report["target"], report["frames"], bool(report["measures"])) == (f"in/{name}", 6, True)
        assert frames_of(tmp_path / "in" / f"{name}.seen.mp4")
    assert main(*words, "--skip-existing") == 0  # nothing of an earlier run is an input
    assert len(os.listdir("in")) == 8
    (tmp_path / "in" / "a_s.mp4").unlink()
    assert main(*words) == 1  # neither video nor report is replaced unasked


def test_a_report_s_name_has_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("a.mp4", "--suffix", "_s", "--report", "reports/all.html") == 2
    assert "names a folder" in capsys.readouterr().err


# --- On a terminal ----------------------------------------------------------------------------------------------------


def test_the_bar_counts_videos() -> None:
    bar = Recorded()
    shown = BatchBar(bar)
    todo = [Task(Path(f"{n}.mp4"), Path(f"{n}_s.mp4")) for n in range(4)]
    shown.begin(4)
    shown.step(todo[0], Progress("weights", 0, None))
    shown.step(todo[0], Progress("frames", 5, 10))
    shown.step(todo[1], Progress("frames", 9, 4))  # the container had said 4
    shown.ended(Outcome(todo[0], "done", "fine"))
    shown.ended(Outcome(todo[1], "failed", "broken"))
    shown.ended(Outcome(todo[2], "skipped", "there"))
    assert bar.rows[0]["total"] == 4
    assert [row["completed"] for row in bar.rows] == pytest.approx([0, 0.5, 1.49, 1.99, 2, 3])
    assert bar.rows[-1]["counts"] == "1 done, 1 skipped, 1 failed"


class Recorded:
    """In place of rich's bar."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add_task(self, name: str, **values: Any) -> int:
        return 7

    def update(self, task: int, **values: Any) -> None:
        assert task == 7
        self.rows.append(values)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.usefixtures("raft")
def test_on_a_terminal(tmp_path: Path) -> None:
    """The bar is drawn and goes; lines and names are whole."""
    import pty

    make_video(tmp_path / "a.mp4", frames=6)
    (tmp_path / "b.mp4").write_text("This is no video.")
    command = [sys.executable, "-m", "deflicker", "a.mp4", "b.mp4", "--suffix", "_s", "--strength", "0"]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the terminal is gone once nobody holds it
            while block := os.read(ours, 4096):
                seen += block
        assert process.stdout is not None
        names = process.stdout.read()
    os.close(ours)
    assert (process.returncode, names) == (1, b"a_s.mp4\n")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert "1 done" in text
    assert "\rdone: a.mp4: 0 of 6 frames changed, written to a_s.mp4\r\n" in text
    assert text.rstrip().endswith("videos: 1 done, 0 skipped, 1 failed")


def test_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(touched(tmp_path, "a.mp4"))
    assert main("a.mp4", "--suffix", "_s", "--dry-run") == 0
    assert capsys.readouterr().err.splitlines() == [
        "skipped: a.mp4: would be written to a_s.mp4",
        "videos: 1, nothing written",
    ]


@pytest.mark.parametrize("words", [["a.mp4", "-", "--suffix", "x"], ["a.mp4", "b.mp4", "--jobs", "2"], ["a", "b", "c"]])
def test_command_lines_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(*words) == 2
    assert "--output-dir" in capsys.readouterr().err

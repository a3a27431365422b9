"""Runs that are stopped on the way and taken up again: the same frames as without, and less work."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deflicker import DeflickerError, OutputError, Report, Settings, SettingsError, cli, deflicker, deflicker_frames
from deflicker.correction import stream
from deflicker.resume import folder, keeping
from deflicker.resume.folder import folder_of
from deflicker.settings import Span
from tests.assets import drifting, write_video
from tests.media.making import frames_of

SETTINGS: dict[str, Any] = {"preset": "fast", "device": "cpu", "precision": "fp32"}
FRAMES = 90


class Stop(Exception):
    pass


def pictures(boil: float = 0.0) -> list[Any]:
    """Two shots that flicker, and boil where it is asked for."""
    chance = np.random.default_rng(1)
    shots = [*drifting(40, 64, 48), *(1 - picture for picture in drifting(FRAMES - 40, 64, 48))]
    return [np.clip(picture + boil * chance.standard_normal((48, 64, 1)), 0, 1) for picture in shots]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mkv", pictures(), codec="ffv1", pix_fmt="yuv444p", sound=True)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "to").mkdir()
    return tmp_path / "to" / "out.mkv"


@pytest.fixture(autouse=True)
def _every_batch_is_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SEGMENT_S", 0)


@pytest.fixture
def solves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were solved, in its only element."""
    count, real = [0], stream.solve

    def counted(*given: Any) -> Any:
        count[0] += 1
        return real(*given)

    monkeypatch.setattr(stream, "solve", counted)
    return count


def run(clip: Path, out: Path, *, stop: int | None = None, **settings: Any) -> Report:
    """Until so many frames are decided."""

    def tell(step: Any) -> None:
        if stop is not None and step.stage == "frames" and step.frames_done >= stop:
            raise Stop

    return deflicker(clip, out, Settings(**SETTINGS | {"resume": True} | settings), on_progress=tell)


def stopped(clip: Path, out: Path, stop: int = 60, **settings: Any) -> None:
    with pytest.raises(Stop):
        run(clip, out, stop=stop, **settings)
    assert not out.exists()
    assert folder_of(out).is_dir()


def same(first: Path, second: Path) -> bool:
    return all(
        a.pts == b.pts and all(map(np.array_equal, a.planes, b.planes))
        for a, b in zip(frames_of(first), frames_of(second), strict=True)
    )


SPECIAL = {"anchor": 1.0, "keep_flashes": True, "exclude": (Span.parse("22f-25f"),)}


@pytest.mark.parametrize("stop", [20, 45, 89])
@pytest.mark.parametrize("settings", [{}, SPECIAL], ids=["usual", "anchored"])
def test_same_frames_and_less_work(
    no_motion: None, clip: Path, out: Path, solves: list[int], stop: int, settings: dict[str, Any]
) -> None:
    plain = out.with_name("plain.mkv")
    whole = run(clip, plain, resume=False, **settings)
    all_of_it = solves[0]
    stopped(clip, out, stop, **settings)
    assert not list(folder_of(out).glob("*.part"))
    solves[0] = 0
    rest = run(clip, out, **settings)
    assert 0 < solves[0] < all_of_it
    assert same(out, plain)
    assert {path.name for path in out.parent.iterdir()} == {out.name, plain.name}
    assert (rest.frames, rest.shots, rest.frames_changed) == (whole.frames, whole.shots, whole.frames_changed)
    assert (rest.flicker_before, rest.flicker_after, rest.kept) == (
        whole.flicker_before,
        whole.flicker_after,
        whole.kept,
    )
    assert "frames that an interrupted run had decided" in rest.notes[-1]


def test_texture_goes_on_too(no_motion: None, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_video(tmp_path / "in.mkv", pictures(boil=0.03), codec="ffv1", pix_fmt="yuv444p")
    detailed = 0
    add = keeping.Keeping._add

    def look(self: Any, frame: Any) -> None:
        nonlocal detailed
        detailed += frame.correction is not None and frame.correction.detail is not None
        add(self, frame)

    monkeypatch.setattr(keeping.Keeping, "_add", look)
    plain, settings = out.with_name("plain.mkv"), {"preset": "balanced"}
    run(clip, plain, resume=False, **settings)
    stopped(clip, out, 60, **settings)
    stopped(clip, out, 75, **settings)  # a second time
    assert detailed > 30
    run(clip, out, **settings)
    assert same(out, plain)


def test_a_guide_goes_on_in_step(no_motion: None, clip: Path, out: Path) -> None:
    stopped(clip, out, guide=clip)
    run(clip, out, guide=clip)
    run(clip, plain := out.with_name("plain.mkv"), resume=False, guide=clip)
    assert same(out, plain)


# --- What does not fit is not used ------------------------------------------------------------------------------------


def test_other_settings_start_afresh(
    no_motion: None, clip: Path, out: Path, solves: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    stopped(clip, out)
    solves[0] = 0
    report = run(clip, out, anchor=0.5)
    assert "because the setting anchor differs: starting afresh" in caplog.text
    assert not [note for note in report.notes if "went on" in note]
    run(clip, plain := out.with_name("plain.mkv"), resume=False, anchor=0.5)
    assert same(out, plain)


@pytest.mark.parametrize("settings", [{"strength": 0.5}, {"codec": "libx264", "crf": 0.0}], ids=["strength", "codec"])
def test_what_corrections_do_not_depend_on_may_change(
    no_motion: None, clip: Path, out: Path, settings: dict[str, Any]
) -> None:
    stopped(clip, out)
    assert "went on" in run(clip, out, **settings).notes[-1]
    run(clip, plain := out.with_name("plain.mkv"), resume=False, **settings)
    assert same(out, plain)


@pytest.mark.parametrize("what", ["the video", "the weights", "the program"])
def test_other_circumstances_start_afresh(
    no_motion: None, clip: Path, out: Path, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(clip, out)
    if what == "the video":
        about = clip.stat()
        os.utime(clip, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    else:
        monkeypatch.setattr(f"deflicker.resume.sameness._{what.split()[1]}", lambda *_: "another")
    report = run(clip, out)
    assert f"because {what} differs: starting afresh" in caplog.text
    assert not [note for note in report.notes if "went on" in note]


@pytest.mark.parametrize("name", ["{n}.state", "{n}.frames", "{n}.json", "1.frames", "about.json"])
@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
def test_damage_is_found_and_done_again(
    no_motion: None, clip: Path, out: Path, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(clip, out)
    newest = max(int(path.stem) for path in folder_of(out).glob("*.json") if path.stem.isdigit())
    assert newest > 2
    victim = folder_of(out) / name.format(n=newest)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(data if damage == "bit" else data[:-1])
    report = run(clip, out)
    went_on = [note for note in report.notes if "went on" in note]
    assert bool(went_on) == (name.startswith("{n}"))  # from the segment before; of the others, nothing is left to trust
    if name != "about.json" and (name, damage) != ("{n}.json", "gone"):
        assert "that part is done again" in caplog.text
    run(clip, plain := out.with_name("plain.mkv"), resume=False)
    assert same(out, plain)


# --- Beside other runs ------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused(no_motion: None, clip: Path, out: Path) -> None:
    seen = []

    def tell(step: Any) -> None:
        if step.stage == "frames" and not seen:
            with pytest.raises(OutputError, match="another run with resume"):
                run(clip, out)
            seen.append(step)

    deflicker(clip, out, Settings(**SETTINGS, resume=True), on_progress=tell)
    assert seen
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_run_without_resume_names_it_and_removes_it_at_the_end(
    no_motion: None, clip: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(clip, out)
    with pytest.raises(Stop):
        run(clip, out, stop=5, resume=False)
    assert "resume goes on there" in caplog.text
    assert folder_of(out).is_dir()
    run(clip, out, resume=False)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_nothing_stays_where_nothing_was_finished(no_motion: None, clip: Path, out: Path) -> None:
    with pytest.raises(Stop):
        run(clip, out, stop=1)
    assert list(out.parent.iterdir()) == []


def test_a_copy_keeps_nothing(clip: Path, out: Path) -> None:
    run(clip, out, strength=0)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("at", [0, 40])
def test_progress_that_cannot_be_kept_does_not_end_the_run(
    no_motion: None,
    clip: Path,
    out: Path,
    at: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    written, write = [0], folder.Unfinished.write

    def full(self: Any, data: Any) -> int:
        written[0] += 1
        if written[0] > at:
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(folder.Unfinished, "write", full)
    run(clip, out)
    assert caplog.text.count("progress is not kept any further, but the run goes on: No space left on device") == 1
    assert len(frames_of(out)) == FRAMES
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_link_in_its_place_is_not_followed(no_motion: None, clip: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder_of(out).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        run(clip, out)
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- What cannot be resumed -------------------------------------------------------------------------------------------


def test_pipes_cannot_be_resumed(clip: Path, out: Path) -> None:
    settings = Settings(**SETTINGS, resume=True)
    with pytest.raises(SettingsError, match="cannot be read again"):
        deflicker(io.BytesIO(clip.read_bytes()), out, settings)
    with pytest.raises(SettingsError, match="has gone through a pipe"):
        deflicker(clip, io.BytesIO(), settings)
    with pytest.raises(SettingsError, match="have no file"):
        next(iter(deflicker_frames([np.zeros((48, 64, 3), np.uint8)], settings=settings)))


def test_a_report_needs_all_of_the_motion(clip: Path, out: Path) -> None:
    with pytest.raises(SettingsError, match="measure afterwards"):
        deflicker(clip, out, Settings(**SETTINGS, resume=True), measure=True)


def test_an_input_that_ends_too_early(
    no_motion: None, clip: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(clip, out)
    monkeypatch.setattr("deflicker.resume.sameness._files", lambda _: "the same")
    monkeypatch.setattr(keeping, "differences", lambda *_: [])
    shorter = write_video(tmp_path / "short.mkv", pictures()[:10], codec="ffv1", pix_fmt="yuv444p")
    with pytest.raises(DeflickerError, match="the input ends before"):
        run(shorter, out)


# --- As a user sees it ------------------------------------------------------------------------------------------------


def faulty(fault: str, number: int, *words: object) -> subprocess.CompletedProcess[str]:
    options = ["--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]
    command = [sys.executable, "-m", "tests.faulty", fault, str(number), *map(str, words), *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_and_taken_up_again(clip: Path, out: Path, count: int) -> None:
    plain = out.with_name("plain.mkv")
    whole = faulty("count", 0, clip, plain)
    assert whole.returncode == 0, whole.stderr
    calls, solves = map(int, whole.stdout.split())
    chance = random.Random(count)
    went_on = 0
    for part in range(count):
        point = int(calls * (part + 0.7 + 0.3 * chance.random()) / count)
        assert faulty("kill", point, clip, out).returncode == -signal.SIGKILL
        if out.exists():  # killed after it was moved there
            assert same(out, plain)
            out.unlink()
        done = faulty("count", 0, clip, out)
        assert done.returncode == 0, (point, done.stderr)
        assert same(out, plain), point
        assert {path.name for path in out.parent.iterdir()} == {out.name, plain.name}
        went_on += "went on after" in done.stderr
        assert (int(done.stdout.split()[1]) < solves) == ("went on after" in done.stderr)
        out.unlink()
    assert went_on >= count // 2 + count % 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted(
    no_motion: None, clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add = keeping.Keeping._add

    def press(self: Any, frame: Any) -> None:
        add(self, frame)
        if frame.item.index == 60:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    words = [str(clip), str(out), "--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="130"):
        patch.setattr(keeping.Keeping, "_add", press)
        cli.main(words)
    said = capsys.readouterr().err
    assert "progress is kept, " in said
    assert said.endswith("deflicker: interrupted\n")
    with pytest.raises(SystemExit, match="0"):
        cli.main(words)
    assert "frames that an interrupted run had decided" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fast", "balanced", "quality"])
@pytest.mark.parametrize("stop", [30, 66])
def test_same_frames_with_the_real_network(raft: None, tmp_path: Path, out: Path, preset: str, stop: int) -> None:
    clip = write_video(tmp_path / "in.mkv", pictures(boil=0.02), codec="ffv1", pix_fmt="yuv444p")
    run(clip, plain := out.with_name("plain.mkv"), resume=False, preset=preset)
    stopped(clip, out, stop, preset=preset)
    assert "went on" in run(clip, out, preset=preset).notes[-1]
    assert same(out, plain)

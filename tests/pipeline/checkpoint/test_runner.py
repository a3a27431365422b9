"""Runs that are stopped on the way and taken up again: the same frames as without, and less work."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deflicker import DeflickerError, OutputError, Report, Settings, SettingsError, deflicker, deflicker_frames
from deflicker.cli import main as cli
from deflicker.core.presets import PRESETS
from deflicker.core.values import Span
from deflicker.pipeline import engine
from deflicker.pipeline.checkpoint import fingerprint as sameness
from deflicker.pipeline.checkpoint import runner as keeping
from deflicker.pipeline.checkpoint import store as folder
from deflicker.pipeline.checkpoint.store import folder_of
from tests.assets import drifting, write_video
from tests.conftest import NoMotion
from tests.media.making import frames_of

SETTINGS: dict[str, Any] = {"preset": "fast", "device": "cpu", "precision": "fp32"}
FRAMES = 60


class Stop(Exception):
    pass


def pictures(boil: float = 0.0) -> list[Any]:
    """Two shots that flicker, and boil where it is asked for."""
    chance = np.random.default_rng(1)
    shots = [*drifting(26, 64, 48), *(1 - picture for picture in drifting(FRAMES - 26, 64, 48))]
    return [np.clip(picture + boil * chance.standard_normal((48, 64, 1)), 0, 1) for picture in shots]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return write_video(folder / "in.mkv", pictures(), codec="ffv1", pix_fmt="yuv444p", sound=True)


@pytest.fixture(scope="module")
def boiling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return write_video(folder / "in.mkv", pictures(boil=0.03), codec="ffv1", pix_fmt="yuv444p")


@pytest.fixture(scope="module")
def plain(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What comes out of a run that nothing stops."""
    out = tmp_path_factory.mktemp("plain") / "out.mkv"
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        run(clip, out, resume=False)
    return out


@pytest.fixture(scope="module")
def left(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a run that was stopped."""
    out = tmp_path_factory.mktemp("left") / "out.mkv"
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        stopped(clip, out)
    return folder_of(out)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "to").mkdir()
    return tmp_path / "to" / "out.mkv"


@pytest.fixture
def half(left: Path, out: Path) -> Path:
    """An output of which a part is done."""
    shutil.copytree(left, folder_of(out))
    return out


def quick(patch: pytest.MonkeyPatch) -> None:
    """No motion, small windows, and a segment as often as there can be one."""
    preset = replace(PRESETS["fast"], history_frames=6, core_frames=8, lookahead_frames=4, iterations=(2,))
    patch.setitem(PRESETS, "fast", preset)
    patch.setitem(PRESETS, "balanced", replace(preset, texture_reach=2, texture_max_side_px=64))
    patch.setattr(engine, "load_flow", lambda *_: NoMotion())
    patch.setattr(keeping, "SEGMENT_S", 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "raft" in request.fixturenames:
        monkeypatch.setattr(keeping, "SEGMENT_S", 0)
    else:
        quick(monkeypatch)


@pytest.fixture
def solves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were solved, in its only element."""
    count, real = [0], engine.solve

    def counted(*given: Any) -> Any:
        count[0] += 1
        return real(*given)

    monkeypatch.setattr(engine, "solve", counted)
    return count


def run(clip: Path, out: Path, *, stop: int | None = None, **settings: Any) -> Report:
    """Until so many frames are decided."""

    def tell(step: Any) -> None:
        if stop is not None and step.stage == "frames" and step.frames_done >= stop:
            raise Stop

    return deflicker(clip, out, Settings(**SETTINGS | {"resume": True} | settings), on_progress=tell)


def stopped(clip: Path, out: Path, stop: int = 42, **settings: Any) -> None:
    with pytest.raises(Stop):
        run(clip, out, stop=stop, **settings)
    assert not out.exists()
    assert folder_of(out).is_dir()


def went_on(report: Report) -> bool:
    return any("frames that an interrupted run had decided" in note for note in report.notes)


def same(first: Path, second: Path) -> bool:
    return all(
        a.pts == b.pts and all(map(np.array_equal, a.planes, b.planes))
        for a, b in zip(frames_of(first), frames_of(second), strict=True)
    )


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


SPECIAL = {"anchor": 1.0, "keep_flashes": True, "exclude": (Span.parse("22f-25f"),)}


@pytest.mark.parametrize(("stop", "settings"), [(20, {}), (58, {}), (35, SPECIAL)])
def test_same_frames_and_less_work(
    clip: Path, out: Path, solves: list[int], stop: int, settings: dict[str, Any]
) -> None:
    plain = out.with_name("plain.mkv")
    whole = run(clip, plain, resume=False, **settings)
    all_of_it = solves[0]
    stopped(clip, out, stop, **settings)
    assert not list(folder_of(out).glob("*.part"))
    solves[0] = 0
    rest = run(clip, out, **settings)
    assert went_on(rest)
    assert 0 < solves[0] < all_of_it
    assert same(out, plain)
    assert names(out) == [out.name, plain.name]
    unlike = {"target", "elapsed_s", "frames_per_second", "notes", "settings", "device_reason"}
    before, after = ({k: v for k, v in each.to_dict().items() if k not in unlike} for each in (whole, rest))
    assert after == before


def test_texture_goes_on_too(boiling: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detailed, add = [0], keeping.Keeping._add

    def look(self: Any, frame: Any) -> None:
        detailed[0] += frame.correction is not None and frame.correction.detail is not None
        add(self, frame)

    monkeypatch.setattr(keeping.Keeping, "_add", look)
    run(boiling, plain := out.with_name("plain.mkv"), resume=False, preset="balanced")
    stopped(boiling, out, 30, preset="balanced")
    stopped(boiling, out, 48, preset="balanced")  # a second time
    assert detailed[0] > 20
    assert went_on(run(boiling, out, preset="balanced"))
    assert same(out, plain)


def test_a_guide_goes_on_in_step(clip: Path, plain: Path, out: Path) -> None:
    stopped(clip, out, guide=clip)
    assert went_on(run(clip, out, guide=clip))
    assert same(out, plain)


# --- What does not fit is not used ------------------------------------------------------------------------------------


def test_other_settings_start_afresh(
    clip: Path, plain: Path, half: Path, solves: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    report = run(clip, half, without=frozenset({"seams"}))
    assert "because the setting without differs: starting afresh" in caplog.text
    assert not went_on(report)
    again, solves[0] = solves[0], 0
    run(clip, half, without=frozenset({"seams"}), overwrite=True)
    assert solves[0] == again


def test_what_corrections_do_not_depend_on_may_change(clip: Path, half: Path) -> None:
    other = {"strength": 0.5, "codec": "libx264", "crf": 0.0}
    assert went_on(run(clip, half, **other))
    run(clip, plain := half.with_name("plain.mkv"), resume=False, **other)
    assert same(half, plain)


@pytest.mark.parametrize("what", ["the video", "the weights", "the program"])
def test_other_circumstances_start_afresh(
    clip: Path, half: Path, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    about = clip.stat()
    if what == "the video":
        os.utime(clip, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    else:
        monkeypatch.setattr(sameness, f"_{what.split()[1]}", lambda *_: "another")
    with pytest.raises(Stop):
        run(clip, half, stop=1)
    os.utime(clip, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert f"because {what} differs: starting afresh" in caplog.text
    assert names(half) == []


@pytest.mark.parametrize(("name", "goes_on"), [("newest.tone", True), ("1.frames", False)])
def test_damage_is_found_and_done_again(
    clip: Path, plain: Path, half: Path, name: str, goes_on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    newest = max(int(path.stem) for path in folder_of(half).glob("*.tone"))
    victim = folder_of(half) / name.replace("newest", str(newest))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert went_on(run(clip, half)) == goes_on
    assert f"{victim.name} is damaged: that part is done again" in caplog.text
    assert same(half, plain)


# --- Beside other runs ------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused(clip: Path, half: Path) -> None:
    seen = []

    def tell(step: Any) -> None:
        if step.stage == "frames" and not seen:
            with pytest.raises(OutputError, match="another run with resume"):
                run(clip, half)
            seen.append(step)

    deflicker(clip, half, Settings(**SETTINGS, resume=True), on_progress=tell)
    assert seen
    assert names(half) == [half.name]


def test_a_run_without_resume_names_it_and_removes_it_at_the_end(
    clip: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Stop):
        run(clip, half, stop=1, resume=False)
    assert "resume goes on there" in caplog.text
    assert folder_of(half).is_dir()
    run(clip, half, resume=False, strength=0)
    assert names(half) == [half.name]


def test_nothing_stays_where_nothing_was_finished(clip: Path, out: Path) -> None:
    with pytest.raises(Stop):
        run(clip, out, stop=1)
    assert names(out) == []


def test_a_copy_keeps_nothing(clip: Path, out: Path) -> None:
    run(clip, out, strength=0)
    assert names(out) == [out.name]


@pytest.mark.parametrize("at", [0, 30])
def test_progress_that_cannot_be_kept_does_not_end_the_run(
    clip: Path, plain: Path, out: Path, at: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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
    assert same(out, plain)
    assert names(out) == [out.name]


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


def test_an_input_that_ends_too_early(clip: Path, half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "differences", lambda *_: [])
    shorter = write_video(tmp_path / "short.mkv", pictures()[:10], codec="ffv1", pix_fmt="yuv444p")
    with pytest.raises(DeflickerError, match="the input ends before"):
        run(shorter, half)


# --- As a user sees it ------------------------------------------------------------------------------------------------


def faulty(fault: str, number: int, *words: object) -> subprocess.CompletedProcess[str]:
    options = ["--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]
    command = [sys.executable, "-m", "tests.faulty", fault, str(number), *map(str, words), *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_and_taken_up_again(tmp_path: Path, out: Path, count: int) -> None:
    clip = write_video(tmp_path / "in.mkv", 2 * pictures(), codec="ffv1", pix_fmt="yuv444p")
    plain = out.with_name("plain.mkv")
    whole = faulty("count", 0, clip, plain)
    assert whole.returncode == 0, whole.stderr
    calls, solves = map(int, whole.stdout.split())
    chance = random.Random(count)
    times = 0
    for part in range(count):
        point = int(calls * (part + 0.8 + 0.2 * chance.random()) / count)
        assert faulty("kill", point, clip, out).returncode == -signal.SIGKILL
        if out.exists():  # killed after it was moved there
            assert same(out, plain)
            out.unlink()
        done = faulty("count", 0, clip, out)
        assert done.returncode == 0, (point, done.stderr)
        assert same(out, plain), point
        assert names(out) == [out.name, plain.name]
        on = "went on after" in done.stderr
        assert (int(done.stdout.split()[1]) < solves) == on
        times += on
        out.unlink()
    assert times >= max(1, count // 2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted(
    clip: Path, plain: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add = keeping.Keeping._add

    def press(self: Any, frame: Any) -> None:
        add(self, frame)
        if frame.item.index == 42:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    words = [str(clip), str(out), "--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]
    monkeypatch.setattr(keeping.Keeping, "_add", press)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with pytest.raises(SystemExit, match="130"):
            cli.main(words)
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert "progress is kept, " in said
    assert said.endswith("deflicker: interrupted\n")
    monkeypatch.setattr(keeping.Keeping, "_add", add)
    with pytest.raises(SystemExit, match="0"):
        cli.main(words)
    assert "frames that an interrupted run had decided" in capsys.readouterr().err
    assert same(out, plain)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fast", "balanced", "quality"])
def test_same_frames_with_the_real_network(raft: None, boiling: Path, out: Path, preset: str) -> None:
    run(boiling, plain := out.with_name("plain.mkv"), resume=False, preset=preset)
    stopped(boiling, out, 30, preset=preset)
    stopped(boiling, out, 48, preset=preset)
    assert went_on(run(boiling, out, preset=preset))
    assert same(out, plain)

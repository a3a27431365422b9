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
from deflicker.correction.tone.solve import solve
from deflicker.media.probe import probe
from deflicker.pipeline.checkpoint.runner import Checkpointer
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.store.fingerprint import device_name, run_fingerprint
from deflicker.pipeline.store.folder import folder_of
from tests import forked
from tests.assets import drifting, write_video
from tests.fakes import Still
from tests.faulty import StillPipeline
from tests.faulty import main as program
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
    """Small windows."""
    preset = replace(PRESETS["fast"], history_frames=6, core_frames=8, lookahead_frames=4, iterations=(2,))
    patch.setitem(PRESETS, "fast", preset)
    patch.setitem(PRESETS, "balanced", replace(preset, texture_reach=2, texture_max_side_px=64))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "raft" not in request.fixturenames:
        quick(monkeypatch)


class Solves:
    """The solver, which counts the windows."""

    count = 0

    def __call__(self, *given: Any) -> Any:
        Solves.count += 1
        return solve(*given)


@pytest.fixture
def solves() -> type[Solves]:
    Solves.count = 0
    return Solves


TONE_ONLY = Models(flow=Still(), adjust=lambda run: replace(run, preset=replace(run.preset, texture_reach=0)))


def run(clip: Path, out: Path, *, stop: int | None = None, models: Models | None = None, **settings: Any) -> Report:
    """Until so many frames are decided, with a checkpoint as often as there can be one."""

    def tell(step: Any) -> None:
        if stop is not None and step.stage == "frames" and step.frames_done >= stop:
            raise Stop

    chosen = Settings(**SETTINGS | {"resume": True} | settings)
    models = models or Models(flow=Still(), solver=Solves())
    return deflicker(clip, out, chosen, on_progress=tell, models=models, checkpoint_s=0)


def stopped(clip: Path, out: Path, stop: int = 42, **settings: Any) -> None:
    with pytest.raises(Stop):
        run(clip, out, stop=stop, **settings)
    assert not out.exists()
    assert folder_of(out).is_dir()


def went_on(report: Report) -> bool:
    return any("frames of an interrupted run" in note for note in report.notes)


def same(first: Path, second: Path) -> bool:
    return all(
        a.pts == b.pts and all(map(np.array_equal, a.planes, b.planes))
        for a, b in zip(frames_of(first), frames_of(second), strict=True)
    )


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


SPECIAL = {"anchor": 1.0, "keep_flashes": True, "exclude": (Span.parse("22f-25f"),)}


@pytest.mark.parametrize(
    ("stop", "settings"),
    [(20, SPECIAL), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(20, {}), (58, {}), (35, SPECIAL)])],
)
def test_same_frames_and_less_work(
    clip: Path, out: Path, solves: type[Solves], stop: int, settings: dict[str, Any]
) -> None:
    plain = out.with_name("plain.mkv")
    whole = run(clip, plain, resume=False, **settings)
    all_of_it = solves.count
    stopped(clip, out, stop, **settings)
    assert not list(folder_of(out).glob("*.part"))
    solves.count = 0
    rest = run(clip, out, **settings)
    assert went_on(rest)
    assert 0 < solves.count < all_of_it
    assert same(out, plain)
    assert names(out) == [out.name, plain.name]
    unlike = {"target", "elapsed_s", "frames_per_second", "notes", "settings", "device_reason"}
    before, after = ({k: v for k, v in each.to_dict().items() if k not in unlike} for each in (whole, rest))
    assert after == before


@pytest.mark.slow
def test_texture_goes_on_too(boiling: Path, out: Path) -> None:
    run(boiling, plain := out.with_name("plain.mkv"), resume=False, preset="balanced")
    run(boiling, toned := out.with_name("toned.mkv"), resume=False, preset="balanced", models=TONE_ONLY)
    assert not same(toned, plain)
    stopped(boiling, out, 30, preset="balanced")
    stopped(boiling, out, 48, preset="balanced")  # a second time
    assert went_on(run(boiling, out, preset="balanced"))
    assert same(out, plain)


@pytest.mark.slow
def test_a_guide_goes_on_in_step(clip: Path, plain: Path, out: Path) -> None:
    stopped(clip, out, guide=clip)
    assert went_on(run(clip, out, guide=clip))
    assert same(out, plain)


# --- What does not fit is not used ------------------------------------------------------------------------------------


def test_other_settings_start_afresh(
    clip: Path, plain: Path, half: Path, solves: type[Solves], caplog: pytest.LogCaptureFixture
) -> None:
    report = run(clip, half, keep_flashes=True)
    assert "because the setting keep_flashes differs: starting over" in caplog.text
    assert not went_on(report)
    again, solves.count = solves.count, 0
    run(clip, half, keep_flashes=True, overwrite=True)
    assert solves.count == again


@pytest.mark.slow
def test_what_corrections_do_not_depend_on_may_change(clip: Path, half: Path) -> None:
    other = {"strength": 0.5, "codec": "libx264", "crf": 0.0}
    assert went_on(run(clip, half, **other))
    run(clip, plain := half.with_name("plain.mkv"), resume=False, **other)
    assert same(half, plain)


@pytest.mark.parametrize("what", ["the video", "the weights"])
def test_other_circumstances_start_afresh(
    clip: Path, half: Path, what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    about, settings = clip.stat(), {}
    if what == "the video":
        os.utime(clip, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    else:
        settings["weights"] = tmp_path / "weights"
        settings["weights"].write_bytes(b"others")
    with pytest.raises(Stop):
        run(clip, half, stop=1, **settings)
    os.utime(clip, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert f"because {what} differs: starting over" in caplog.text
    assert names(half) == []


@pytest.mark.parametrize(
    ("name", "goes_on"), [("newest.tone", True), pytest.param("1.frames", False, marks=pytest.mark.slow)]
)
def test_damage_is_found_and_done_again(
    clip: Path, plain: Path, half: Path, name: str, goes_on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    newest = max(int(path.stem) for path in folder_of(half).glob("*.tone"))
    victim = folder_of(half) / name.replace("newest", str(newest))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert went_on(run(clip, half)) == goes_on
    assert f"{victim.name} is damaged: that part is computed again" in caplog.text
    assert same(half, plain)


# --- Beside other runs ------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused(clip: Path, half: Path) -> None:
    seen = []

    def tell(step: Any) -> None:
        if step.stage == "frames" and not seen:
            with pytest.raises(OutputError, match="another run that keeps"):
                run(clip, half)
            seen.append(step)

    deflicker(clip, half, Settings(**SETTINGS, resume=True), on_progress=tell, models=Models(flow=Still()))
    assert seen
    assert names(half) == [half.name]


def test_a_run_without_resume_names_it_and_removes_it_at_the_end(
    clip: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Stop):
        run(clip, half, stop=1, resume=False)
    assert "resume continues it" in caplog.text
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


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1])
def test_progress_that_cannot_be_kept_does_not_end_the_run(
    clip: Path, plain: Path, out: Path, at: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full from the start, or after the first checkpoint."""
    forced, fsync = [0], os.fsync

    def full(file: int) -> None:
        forced[0] += 1
        if forced[0] > 8 * at and folder_of(out).exists():
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Stop):
        run(clip, out, stop=55)
    assert caplog.text.count("progress is no longer saved, but the run continues: No space left on device") == 1
    monkeypatch.setattr(os, "fsync", fsync)
    run(clip, out)
    assert same(out, plain)
    assert names(out) == [out.name]


# --- What cannot be resumed -------------------------------------------------------------------------------------------


def test_pipes_cannot_be_resumed(clip: Path, out: Path) -> None:
    settings = Settings(**SETTINGS, resume=True)
    with pytest.raises(SettingsError, match="cannot be read again"):
        deflicker(io.BytesIO(clip.read_bytes()), out, settings)
    with pytest.raises(SettingsError, match="a pipe cannot be resumed"):
        deflicker(clip, io.BytesIO(), settings)
    with pytest.raises(SettingsError, match="has no file"):
        next(iter(deflicker_frames([np.zeros((48, 64, 3), np.uint8)], settings=settings)))


def test_a_report_needs_all_of_the_motion(clip: Path, out: Path) -> None:
    with pytest.raises(SettingsError, match="measure afterwards"):
        deflicker(clip, out, Settings(**SETTINGS, resume=True), measure=True)


def test_an_input_that_ends_too_early(clip: Path, half: Path) -> None:
    info = probe(clip)
    context = Run.prepare(VideoSize.of(info), Settings(**SETTINGS), Models(flow=Still()), lambda _: None)
    with Checkpointer(half) as checkpointer:
        checkpointer.load(run_fingerprint(clip, context.settings, context.preset, device_name(context.device)))
        with pytest.raises(DeflickerError, match="the input ends before"):
            list(checkpointer.corrections(iter(()), context, info))


# --- As a user sees it ------------------------------------------------------------------------------------------------


def faulty(fault: str, number: int, *words: object) -> subprocess.CompletedProcess[str]:
    options = ["--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]
    return forked.run(program, [fault, number, *words, *options], Path.cwd(), {})


@pytest.mark.slow
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
        on = "continued after" in done.stderr
        assert (int(done.stdout.split()[1]) < solves) == on
        times += on
        out.unlink()
    assert times >= max(1, count // 2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted(clip: Path, plain: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(clip), str(out), "--preset", "fast", "--device", "cpu", "--precision", "fp32", "--resume"]

    def press(step: Any) -> None:
        if step.stage == "frames" and step.frames_done == 43:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            deflicker(
                clip,
                out,
                Settings(**SETTINGS, resume=True),
                on_progress=press,
                checkpoint_s=0,
                models=Models(flow=Still()),
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert folder_of(out).is_dir()
    with pytest.raises(SystemExit, match="0"):
        cli.main(words, pipeline=StillPipeline())
    assert "frames of an interrupted run" in capsys.readouterr().err
    assert same(out, plain)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fast", "balanced", "quality"])
def test_same_frames_with_the_real_network(raft: None, boiling: Path, out: Path, preset: str) -> None:
    real = Models()
    run(boiling, plain := out.with_name("plain.mkv"), resume=False, preset=preset, models=real)
    stopped(boiling, out, 30, preset=preset, models=real)
    stopped(boiling, out, 48, preset=preset, models=real)
    assert went_on(run(boiling, out, preset=preset, models=real))
    assert same(out, plain)

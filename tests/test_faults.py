"""Everything is broken on purpose. Whatever happens: no file at OUT that was not there before, the source untouched,
nothing left behind but what the next run removes, the right exit code, and an end."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from deflicker import OutputError, Settings, deflicker
from deflicker.cli import main as cli
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.solve_oom import SolverWithOomFallback
from deflicker.motion.flow_oom import FlowWithOomFallback
from deflicker.pipeline.run_context import Models
from tests import forked
from tests.assets import make_video
from tests.fakes import Still, failing, fault_in
from tests.faulty import main as program
from tests.media.making import frames_of

FAST = Settings(preset="fast", device="cpu", precision="fp32", encoder_preset="ultrafast")
OPTIONS = ["--preset", "fast", "--device", "cpu", "--encoder-preset", "ultrafast"]
FRAMES = 24
LEFTOVER = re.compile(r"\.out\.mp4\.[a-z0-9_]{8}\.part")
STILL = Models(flow=Still())

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in.mp4", frames=FRAMES)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """In a folder of its own."""
    (tmp_path / "to").mkdir()
    return tmp_path / "to" / "out.mp4"


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = {thread for thread in threading.enumerate() if thread.name.startswith("deflicker")}
    yield
    assert {thread for thread in threading.enumerate() if thread.name.startswith("deflicker")} == before


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def faulty(fault: str, number: int, *words: object) -> subprocess.CompletedProcess[str]:
    return forked.run(program, [fault, number, *words, *OPTIONS], Path.cwd(), {})


def is_whole(path: Path) -> bool:
    return len(frames_of(path)) == FRAMES


# --- Killed and interrupted -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls of the tool's functions a whole run makes."""
    folder = tmp_path_factory.mktemp("count")
    done = faulty("count", 0, make_video(folder / "in.mp4", frames=FRAMES), folder / "out.mp4")
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[0])


def points(calls: int, count: int, seed: int) -> list[int]:
    """Moments spread over a run, one in each of so many equal parts of it."""
    chance = random.Random(seed)
    return [int(calls * (part + chance.random()) / count) + 1 for part in range(count)]


@posix
@pytest.mark.parametrize("count", [1, pytest.param(24, marks=pytest.mark.slow)])
def test_killed_at_any_point(clip: Path, out: Path, calls: int, count: int) -> None:
    source = clip.read_bytes()
    leftovers = 0
    for point in points(calls, count, seed=count):
        done = faulty("kill", point, clip, out)
        assert done.returncode == -9, (point, done)
        assert clip.read_bytes() == source
        left = {path.name for path in out.parent.iterdir()}
        if out.exists():  # killed after it was moved there
            assert is_whole(out)
            out.unlink()
        assert all(LEFTOVER.fullmatch(name) for name in left - {"out.mp4"})
        leftovers += bool(left)
    assert leftovers >= count // 3
    done = faulty("count", 0, clip, out)
    assert done.returncode == 0
    assert "which a killed run had left unfinished" in done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    assert is_whole(out)


@posix
@pytest.mark.parametrize(
    ("count", "there"),
    [(2, True), *(pytest.param(24, there, marks=pytest.mark.slow) for there in (False, True))],
)
def test_interrupted_at_any_point(clip: Path, out: Path, calls: int, count: int, there: bool) -> None:
    if there:
        out.write_bytes(b"precious")
    before, options = listing(clip.parent), ["-y"] * there
    for point in points(calls, count, seed=100 + count):
        done = faulty("interrupt", point, clip, out, *options)
        if done.returncode == 0:  # after the last frame there is nothing left to stop
            assert is_whole(out)
            out.write_bytes(b"precious") if there else out.unlink()
            continue
        assert (done.returncode, done.stderr) == (130, "deflicker: interrupted\n"), point
        if out.exists() and out.read_bytes() != b"precious":  # after it was moved there, in the last lines of a run
            assert is_whole(out)
            out.write_bytes(b"precious") if there else out.unlink()
        assert listing(clip.parent) == before, point


# --- The disk ---------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("part", [0.5, 0.999])
def test_a_full_disk(clip: Path, out: Path, part: float) -> None:
    out.write_bytes(b"precious")
    whole = out.with_name("whole.mp4")
    deflicker(clip, whole, FAST, models=STILL)
    before = listing(clip.parent)
    done = faulty("full", int(part * whole.stat().st_size), clip, out, "-y")
    assert done.returncode == 4, done.stderr
    assert "could not be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert listing(clip.parent) == before


@posix
def test_a_disk_that_fills_up_at_the_last_moment(clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delayed allocation: only fsync tells."""

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        deflicker(clip, out, FAST, models=STILL)
    assert list(out.parent.iterdir()) == []


@posix
@pytest.mark.parametrize("part", [0.9])
def test_the_output_folder_vanishes(clip: Path, out: Path, calls: int, part: float) -> None:
    source = clip.read_bytes()
    done = faulty("vanish", int(part * calls), clip, out)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert str(out) in done.stderr
    assert listing(clip.parent) == {"in.mp4": source}


# --- Exceptions in every thread ---------------------------------------------------------------------------------------


PLACES = {
    "reading": ("Reader._exact_pts", 7),
    "reading the last": ("Reader._check", 0),
    "tracking": ("ShotTracker.push", 1),
    "solving": ("solve", 0),
    "correcting": ("corrected_planes", 9),
    "encoding": ("Writer.write", 9),
    "copying sound": ("Writer.copy", 3),
    "drawing the comparison": ("Comparison.on_written", 9),
    "flushing the encoder": ("Writer._mux", FRAMES),
    "finishing the container": ("Output.finish", 0),
    "moving it to its place": ("FileTarget._move_without_replacing", 0),
    "beginning": ("Output.add_other_streams", 1),
}
"""The function that fails, and after how many calls."""


@pytest.mark.parametrize(
    ("place", "error"),
    [
        *((place, RuntimeError("injected")) for place in PLACES),
        *((place, error) for place in ("reading", "tracking", "encoding") for error in (MemoryError(), SystemExit())),
    ],
)
def test_an_exception_anywhere(clip: Path, out: Path, place: str, error: BaseException) -> None:
    before = listing(clip.parent)
    name, after = PLACES[place]
    with fault_in(name, error, after=after), pytest.raises(type(error)):
        deflicker(clip, out, FAST, compare=out.with_name("both.mp4"), models=STILL)
    assert listing(clip.parent) == before


def main(capsys: pytest.CaptureFixture[str], *words: object, models: Models | None = None) -> tuple[int, str]:
    pipeline = SimpleNamespace(deflicker=partial(deflicker, models=models), plan=None)
    with pytest.raises(SystemExit) as end:
        cli.main([*map(str, words), *OPTIONS], pipeline=pipeline)
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("after", [0, 2])
def test_the_gpu_runs_out_of_memory(clip: Path, out: Path, capsys: pytest.CaptureFixture[str], after: int) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of")
    full = Still()
    full.flow = failing(full.flow, error, after=after)  # type: ignore[method-assign]
    code, said = main(capsys, clip, out, models=Models(flow=full))
    assert (code, said) == (1, "deflicker: out of memory: try --preset fast, --max-memory or --device cpu\n")
    assert list(out.parent.iterdir()) == []


def test_the_gpu_runs_out_of_memory_and_the_run_goes_on(
    clip: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In motion, solving and applying: each steps down, says so, and no frame is lost."""
    error, small = torch.OutOfMemoryError("CUDA out of memory"), Still()
    small.flow = failing(small.flow, error, times=99)  # type: ignore[method-assign]
    models = Models(
        flow=FlowWithOomFallback(small, Still), solver=SolverWithOomFallback(failing(solve, error, times=2))
    )
    with fault_in("corrected_planes", error):
        code, said = main(capsys, clip, out, models=models)
    assert code == 0
    assert [line.split("warning: ")[-1] for line in said.splitlines() if "out of memory" in line] == [
        "out of memory in flow: one frame at a time from here on",
        "out of memory in flow: at half the size from here on",
        "out of memory in flow: on the CPU from here on",
        "out of memory in solving: without looking ahead from here on",
        "out of memory in solving: on the CPU from here on",
        "out of memory in applying corrections: on the CPU from here on",
    ]
    assert len(frames_of(out)) == len(frames_of(clip))


# --- Weights and their cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04" + bytes(200)])
def test_a_damaged_weight_file(clip: Path, out: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    weights = clip.with_name("raft_large.pth")
    weights.write_bytes(content)
    code, said = main(capsys, clip, out, "--weights", weights)
    assert (code, said.count("\n")) == (5, 1), said
    assert "raft_large.pth is not a weight file" in said
    assert list(out.parent.iterdir()) == []


def test_a_damaged_cache_offline(
    clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deflicker.motion.raft.network import RAFT_LARGE

    cache = clip.with_name("cache")
    cache.mkdir()
    (cache / RAFT_LARGE.filenames[0]).write_bytes(b"PK\x03\x04" + bytes(1000))
    monkeypatch.setenv("DEFLICKER_CACHE", str(cache))
    code, said = main(capsys, clip, out, "--offline")
    assert code == 5
    assert "ignoring" in said
    assert "not downloaded: offline" in said.splitlines()[-1]
    assert list(out.parent.iterdir()) == []


# --- Two at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_runs_write_the_same_output(clip: Path, out: Path, overwrite: bool) -> None:
    """The second begins and ends while the first is in the middle, and must not take its file for a leftover."""
    settings = Settings(**vars(FAST) | {"overwrite": overwrite})
    second: list[bytes] = []

    def meanwhile(step: Any) -> None:
        if step.stage == "frames" and not second:
            deflicker(clip, out, settings, models=STILL)
            second.append(out.read_bytes())

    if overwrite:
        deflicker(clip, out, settings, on_progress=meanwhile, models=STILL)
    else:
        with pytest.raises(OutputError, match="already exists"):
            deflicker(clip, out, settings, on_progress=meanwhile, models=STILL)
        assert out.read_bytes() == second[0]
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]
    assert is_whole(out)


def test_the_source_goes_while_it_is_read(clip: Path, out: Path) -> None:
    """It was opened; what is open can still be read."""

    def remove(step: Any) -> None:
        if step.stage == "frames" and clip.exists():
            shutil.move(clip, clip.with_name("moved.mp4"))

    deflicker(clip, out, FAST, on_progress=remove, models=STILL)
    assert is_whole(out)

"""Leftovers of killed runs are told from the work of runs that go on, and from everybody else's files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deflicker import leftovers
from deflicker.leftovers import Lock, sweep, unfinished_name

pytestmark = pytest.mark.skipif(leftovers.fcntl is None, reason="on Windows an open file is its own lock")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_leftover_is_removed_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = unfinished_name(tmp_path / "out.mp4")
    left.write_bytes(b"half")
    sweep(tmp_path / "out.mp4")
    assert names(tmp_path) == set()
    assert [record.message for record in caplog.records] == [f"removed {left}, which a killed run had left unfinished"]


def test_only_leftovers_of_this_place_are_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = {
        "out.mp4", ".out.mp4", ".out.part.mp4", ".out.1234567.part.mp4", ".out.1234567g.part.mp4",
        ".out.12345678.part.mkv", ".out2.12345678.part.mp4", ".xout.12345678.part.mp4", "out.12345678.part.mp4",
    }  # fmt: skip
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ".out.aaaaaaaa.part.mp4").mkdir()
    (tmp_path / ".out.bbbbbbbb.part.mp4").symlink_to(tmp_path / "out.mp4")
    before = names(tmp_path)
    sweep(tmp_path / "out.mp4")
    assert names(tmp_path) == before
    assert not caplog.records


def test_what_is_being_written_is_let_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = unfinished_name(tmp_path / "out.mp4")
    lock = Lock(path)
    path.write_bytes(b"going on")  # truncates and goes on in the same file, as FFmpeg does
    sweep(tmp_path / "out.mp4")
    assert path.read_bytes() == b"going on"
    lock.sync()
    lock.release()
    lock.release()
    assert not caplog.records
    sweep(tmp_path / "out.mp4")
    assert names(tmp_path) == set()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = unfinished_name(tmp_path / "out.mp4")
    code = f"from deflicker.leftovers import *; l = Lock(Path({str(path)!r})); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        sweep(tmp_path / "out.mp4")
        assert names(tmp_path) == {path.name}
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    sweep(tmp_path / "out.mp4")
    assert names(tmp_path) == set()


def test_a_file_that_is_swept_while_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, flock, swept = unfinished_name(tmp_path / "out.mp4"), leftovers.fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not swept:
            swept.append(path)
            path.unlink()
        flock(file, how)

    monkeypatch.setattr(leftovers.fcntl, "flock", late)
    lock = Lock(path)
    assert path.exists()
    lock.release()


def test_without_locks_a_leftover_is_named_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(file: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(leftovers.fcntl, "flock", none)
    path = unfinished_name(tmp_path / "out.mp4")
    Lock(path).release()
    sweep(tmp_path / "out.mp4")
    assert path.exists()
    assert "looks like the leftover of a killed run (Operation not supported)" in caplog.records[0].message


def test_a_folder_that_is_gone_is_no_matter(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere" / "out.mp4")
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "nowhere" / "x")


def test_no_file_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        Lock(unfinished_name(tmp_path / "out.mp4")).release()
        sweep(tmp_path / "out.mp4")
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)

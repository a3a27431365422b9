"""Leftovers of killed runs are told from the work of runs that go on, and from everybody else's files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deflicker.core import files as leftovers
from deflicker.core.files import Lock, UnfinishedFolder, held_alone, sweep, unfinished_name

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
    code = f"from deflicker.core.files import *; l = Lock(Path({str(path)!r})); print(1, flush=True); input()"
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


# --- Folders ----------------------------------------------------------------------------------------------------------


def killed(code: str, **environment: str) -> None:
    """What a process leaves that is killed after this."""
    code = f"import os, signal\n{code}\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_folder_is_held_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = UnfinishedFolder(tmp_path, ".x-", ".part")
    second = UnfinishedFolder(tmp_path, ".x-", ".part")
    (first.path / "deep").mkdir()
    (first.path / "deep" / "file").write_bytes(b"half")
    assert first.path.is_dir()
    first.close()
    second.close()
    assert names(tmp_path) == set()
    assert not caplog.records


def test_a_killed_run_s_folder_is_removed_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(
        "from deflicker.leftovers import *\n"
        f"f = UnfinishedFolder(Path({str(tmp_path)!r}), '.x-', '.part'); (f.path / '1.png').write_bytes(b'x')"
    )
    left = names(tmp_path)
    assert len(left) == 1
    (tmp_path / ".x-12345678.part").mkdir()  # nobody's, or just made
    (tmp_path / "x-abcdefgh.part").mkdir()
    UnfinishedFolder(tmp_path, ".x-", ".part").close()
    assert names(tmp_path) == {".x-12345678.part", "x-abcdefgh.part"}
    assert [record.message for record in caplog.records] == [
        f"removed {tmp_path / left.pop()}, which a killed run had left unfinished"
    ]


def test_images_of_a_killed_run_are_removed_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "from pathlib import Path\nfrom deflicker.media.images import Images\n"
        "from deflicker.numbered import numbered\n"
        f"path = Path({str(tmp_path / '%03d.png')!r})\n"
        "i = Images(numbered(path), source=Path('in'), overwrite=False); Path(i.sink % 1).write_bytes(b'x')"
    )
    killed(code)
    assert len(names(tmp_path)) == 1
    exec_images(tmp_path)
    assert names(tmp_path) == {"001.png"}
    assert "which a killed run had left unfinished" in caplog.text


def exec_images(folder: Path) -> None:
    from deflicker.media.image_pattern import numbered
    from deflicker.media.sequence_target import Images

    images = numbered(folder / "%03d.png")
    assert images is not None
    output = Images(images, source=Path("in"), overwrite=False)
    Path(str(output.sink) % 1).write_bytes(b"x")
    output.commit()


@pytest.mark.parametrize("what", ["pipe", "weights"])
def test_what_a_killed_run_left_in_the_system_s_folder(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import io
    import tempfile

    from deflicker import Settings
    from deflicker.core import weights
    from deflicker.media.source import take_in
    from deflicker.motion.raft.network import RAFT_LARGE
    from tests.assets import make_video

    kill = "lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    pipe = f"import io, shutil\nfrom deflicker.media import source as intake\nshutil.copyfileobj = {kill}\n"
    pipe += "from deflicker import Settings\nwith intake.take_in(io.BytesIO(b'x'), Settings()): pass"
    fetch = "from deflicker.core import weights\nfrom deflicker.motion.raft.network import RAFT_LARGE\n"
    fetch += f"class S:\n    label = ''\n    fetch = {kill}\n"
    fetch += "weights._fetch(RAFT_LARGE, S())"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    killed(pipe if what == "pipe" else fetch, TMPDIR=str(temporary))
    assert len(names(temporary)) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    if what == "pipe":
        data = make_video(tmp_path / "in.mp4", frames=2).read_bytes()
        with take_in(io.BytesIO(data), Settings()):
            pass
    else:
        broken: Any = type("S", (), {"label": "", "fetch": lambda *_: Path("nowhere")})()
        with pytest.raises(weights.Unusable):
            weights._fetch(RAFT_LARGE, broken)
    assert names(temporary) == set()
    assert "which a killed run had left unfinished" in caplog.text


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users as POSIX has them")
def test_other_users_leftovers_are_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished_name(tmp_path / "out.mp4").write_bytes(b"half")
    killed(f"from deflicker.core.files import *\nUnfinishedFolder(Path({str(tmp_path)!r}), 'x-')")
    before = names(tmp_path)
    with monkeypatch.context() as patch:
        me = os.getuid()
        patch.setattr(os, "getuid", lambda: me + 1)
        sweep(tmp_path / "out.mp4")
        UnfinishedFolder(tmp_path, "x-").close()
    assert names(tmp_path) == before


def test_one_run_holds_a_folder(tmp_path: Path) -> None:
    release = held_alone(tmp_path / "folder", "lock")
    with pytest.raises(BlockingIOError):
        held_alone(tmp_path / "folder", "lock")
    release()
    held_alone(tmp_path / "folder", "lock")()

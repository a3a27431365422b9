"""What killed runs left is told from the work of runs that go on, and from everybody else's files."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from deflicker.core import weights
from deflicker.core.errors import WeightsError
from deflicker.core.files import TemporaryFolder, lock_folder, remove_stale
from deflicker.media.file_access import path_of
from deflicker.media.image_pattern import image_sequence
from deflicker.media.sequence_target import SequenceTarget
from deflicker.media.source import open_source
from deflicker.motion.raft.network import RAFT_LARGE
from tests.assets import make_video

MAKE = "from deflicker.core.files import *\nf = TemporaryFolder(Path({folder!r}), {prefix!r}, '.part')\n"

posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are killed as POSIX has it")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def killed(code: str, **environment: str) -> None:
    """What a process leaves that is killed after this."""
    code = f"import os, signal\n{code}\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def was_removed(caplog: pytest.LogCaptureFixture) -> bool:
    return "which a killed run had left unfinished" in caplog.text


def test_a_folder_is_locked_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = TemporaryFolder(tmp_path, ".x-", ".part")
    second = TemporaryFolder(tmp_path, ".x-", ".part")
    (first.path / "deep").mkdir()
    (first.path / "deep" / "file").write_bytes(b"half")
    assert first.path.is_dir()
    first.close()
    first.close()
    second.close()
    assert names(tmp_path) == set()
    assert not caplog.records


@posix
def test_a_killed_run_s_folder_is_removed_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(MAKE.format(folder=str(tmp_path), prefix=".x-") + "(f.path / '1.png').write_bytes(b'x')")
    (left,) = names(tmp_path)
    others = {".x-12345678.part", "x-abcdefgh.part", ".x-12345678", ".x-1234567.part", ".y-12345678.part"}
    for name in others:  # the first is nobody's, or was just made: it has no lock
        (tmp_path / name).mkdir()
        if name != ".x-12345678.part":
            (tmp_path / name / ".lock").touch()
    (tmp_path / ".x-aaaaaaaa.part").write_bytes(b"mine")
    (tmp_path / ".x-bbbbbbbb.part").symlink_to(tmp_path / "x-abcdefgh.part")
    before = names(tmp_path)
    TemporaryFolder(tmp_path, ".x-", ".part").close()
    assert names(tmp_path) == before - {left}
    assert [record.message for record in caplog.records] == [
        f"removed {tmp_path / left}, which a killed run had left unfinished"
    ]


@posix
def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = MAKE.format(folder=str(tmp_path), prefix=".x-") + "print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        remove_stale(tmp_path, ".x-", ".part")
        assert len(names(tmp_path)) == 1
        other.send_signal(signal.SIGKILL)
        other.wait(30)
    remove_stale(tmp_path, ".x-", ".part")
    assert names(tmp_path) == set()


def test_beside_a_file(tmp_path: Path) -> None:
    with closing(TemporaryFolder.beside(tmp_path / "out.mp4")) as folder:
        assert folder.path.parent == tmp_path
        assert folder.path.name.startswith(".out.mp4.")
        assert folder.path.suffix == ".part"


def test_a_folder_that_is_removed_while_it_is_locked_is_made_again(tmp_path: Path) -> None:
    class Late(FileLock):  # type: ignore[misc,valid-type]
        """Somebody removes the file just after it was locked, the first time."""

        late: list[bool] = []  # noqa: RUF012

        def acquire(self, *given: Any, **named: Any) -> Any:
            done = super().acquire(*given, **named)
            if not self.late:
                self.late.append(True)
                os.unlink(self.lock_file)
            return done

    lock = lock_folder(tmp_path / "folder", "lock", Late)
    assert (tmp_path / "folder" / "lock").exists()
    lock.release()


def test_without_locks_what_was_left_is_only_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class NoLocks(FileLock):  # type: ignore[misc,valid-type]
        def acquire(self, *given: Any, **named: Any) -> Any:
            Path(self.lock_file).touch()
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    folder = TemporaryFolder(tmp_path, ".x-", ".part", NoLocks)
    remove_stale(tmp_path, ".x-", ".part", NoLocks)
    assert folder.path.exists()
    assert f"{folder.path} may be what a killed run left" in caplog.records[0].message
    folder.close()
    assert names(tmp_path) == set()


def test_where_there_is_no_folder(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nowhere", ".x-")
    with pytest.raises(FileNotFoundError):
        TemporaryFolder(tmp_path / "nowhere", ".x-")
    with pytest.raises(FileNotFoundError):
        lock_folder(tmp_path / "nowhere" / "folder")
    assert names(tmp_path) == set()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no such figures on this system")
def test_no_file_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        TemporaryFolder(tmp_path, ".x-").close()
    assert before == len(os.listdir("/proc/self/fd"))


def test_one_run_locks_a_folder(tmp_path: Path) -> None:
    lock = lock_folder(tmp_path / "folder", "lock")
    with pytest.raises(BlockingIOError):
        lock_folder(tmp_path / "folder", "lock")
    lock.release()
    lock_folder(tmp_path / "folder", "lock").release()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users as POSIX has them")
def test_what_other_users_left_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(MAKE.format(folder=str(tmp_path), prefix="x-"))
    before, me = names(tmp_path), os.getuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: me + 1)
        TemporaryFolder(tmp_path, "x-", ".part").close()
    assert names(tmp_path) == before


# --- Who uses them ----------------------------------------------------------------------------------------------------


@posix
def test_images_of_a_killed_run_are_removed_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(
        "from pathlib import Path\nfrom deflicker.media.sequence_target import SequenceTarget\n"
        "from deflicker.media.image_pattern import image_sequence\nfrom deflicker.media.file_access import path_of\n"
        f"path = Path({str(tmp_path / '%03d.png')!r})\n"
        "i = SequenceTarget(image_sequence(path), source=Path('in'), overwrite=False)\n"
        "path_of(i.sink % 1).write_bytes(b'x')"
    )
    assert len(names(tmp_path)) == 1
    images = image_sequence(tmp_path / "%03d.png")
    assert images is not None
    output = SequenceTarget(images, source=Path("in"), overwrite=False)
    path_of(str(output.sink) % 1).write_bytes(b"x")
    output.commit()
    assert names(tmp_path) == {"001.png"}
    assert was_removed(caplog)


@posix
def test_a_stored_pipe_of_a_killed_run_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    killed(
        "import io\nfrom deflicker.media.source import open_source\n"
        "class Stream(io.BytesIO):\n    def read(self, *_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "with open_source(Stream()): pass",
        TMPDIR=str(temporary),
    )
    assert len(names(temporary)) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    data = make_video(tmp_path / "in.mp4", frames=2).read_bytes()
    with open_source(io.BytesIO(data)):
        pass
    assert names(temporary) == set()
    assert was_removed(caplog)


@posix
def test_a_download_of_a_killed_run_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    killed(
        "from dataclasses import replace\nfrom deflicker.core import weights\n"
        "from deflicker.motion.raft.network import RAFT_LARGE\n"
        "class Source:\n    label = filename = by_hand = ''\n"
        "    def fetch(self, _): os.kill(os.getpid(), signal.SIGKILL)\n"
        "weights.load(replace(RAFT_LARGE, sources=(Source(),)))",
        TMPDIR=str(temporary), DEFLICKER_CACHE=str(cache),
    )  # fmt: skip
    assert len(names(temporary)) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("DEFLICKER_CACHE", str(cache))
    nothing: Any = type("S", (), {"label": "", "filename": "", "by_hand": "", "fetch": lambda *_: Path("nowhere")})()
    with pytest.raises(WeightsError):
        weights.load(replace(RAFT_LARGE, sources=(nothing,)))
    assert names(temporary) == set()
    assert was_removed(caplog)

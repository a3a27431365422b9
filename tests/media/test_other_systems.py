"""What can be tried here of other systems: Windows paths, consoles of other encodings, locks that are only files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest
from filelock import SoftFileLock

from deflicker.core.files import TemporaryFolder, lock_folder
from deflicker.media.file_access import address
from tests.media.making import make


@pytest.mark.parametrize(
    "name", [r"C:\films\a.mp4", r"\\server\share\100%d.mp4", r"..\a b.mp4", r"C:\films\emo😀.mp4"], ids=ascii
)
def test_windows_paths_keep_their_spelling(name: str) -> None:
    """FFmpeg takes off the scheme and opens the rest as it is."""
    assert address(PureWindowsPath(name)) == f"file:{name}"


def test_locks_that_are_only_files(tmp_path: Path) -> None:
    """Where a system has no locks of its own, filelock's soft ones keep two runs apart."""
    folder = TemporaryFolder(tmp_path, ".out.", ".part", lock_type=SoftFileLock)  # type: ignore[arg-type]
    with pytest.raises(BlockingIOError):
        lock_folder(folder.path, lock_type=SoftFileLock)  # type: ignore[arg-type]
    other = TemporaryFolder(tmp_path, ".out.", ".part", lock_type=SoftFileLock)  # type: ignore[arg-type]
    assert folder.path.exists()  # not taken for what a killed run left
    folder.close()
    other.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252"])
def test_a_console_that_cannot_show_a_name(encoding: str, tmp_path: Path) -> None:
    make(tmp_path / "emo😀 é.mp4", pts=range(3))
    command = [sys.executable, "-m", "deflicker", "--strength", "0"]
    surroundings = os.environ | {"PYTHONIOENCODING": encoding}
    for source, code in (("emo😀 é.mp4", 0), ("no😀 é.mp4", 3)):
        done = subprocess.run([*command, source, "→😀.mkv"], cwd=tmp_path, env=surroundings, capture_output=True)
        assert done.returncode == code
        said = (done.stdout + done.stderr).decode(encoding)
        assert "Traceback" not in said
        assert "\\U0001f600" in said
    assert (tmp_path / "→😀.mkv").exists()

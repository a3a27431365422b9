"""The README is short, and every command in it works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from deflicker.core.presets import PRESETS
from tests.assets import make_video
from tests.test_docs import words

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- run: (\w+) -->\n)?```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for mark, kind, text in BLOCKS if kind == "bash" and not mark for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader would be: `in.mp4` before them, and what earlier commands have written."""
    make_video(tmp_path / "in.mp4")
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, folder: Path, raft: None) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = [word for word in command.split()[2:] if re.fullmatch(r"\w+\.(mp4|html)", word) and word != "in.mp4"]
    assert [word for word in written if not (folder / word).exists()] == []


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) == 3
    assert [mark for mark, _, _ in BLOCKS if mark] == ["install", "test"]


def test_it_is_short() -> None:
    assert len(words(README)) <= 600


def test_the_moving_picture_moves_and_is_small() -> None:
    path = ROOT / "docs" / "images" / "before_after.webp"
    assert f"]({path.relative_to(ROOT).as_posix()})" in README
    assert path.stat().st_size < 2_000_000
    with Image.open(path) as animation:
        assert getattr(animation, "n_frames", 1) >= 24


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_its_row(name: str) -> None:
    assert f"\n| `--preset {name}` | " in README


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_link(target: str) -> None:
    assert (ROOT / target).exists()

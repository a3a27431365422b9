"""Every command and program on the pages of docs/ works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assets import make_video

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ["shell.md", "python.md", "questions.md"]
BLOCKS = [
    (page, kind, text)
    for page in PAGES
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
]
LINES = [(page, line) for page, kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
COMMANDS = [(page, line) for page, line in LINES if "--ray" not in line]  # test_ray_cluster.py runs those
PROGRAMS = [(page, text) for page, kind, text in BLOCKS if kind == "python"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader would be: `in.mp4` before them."""
    make_video(tmp_path / "in.mp4")
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("page", sorted({page for page, _ in COMMANDS}))
def test_commands(page: str, folder: Path, raft: None) -> None:
    """In their order: later ones use what earlier ones have written."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (command for its_page, command in COMMANDS if its_page == page):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr
        if "--dry-run" in command or "--output-dir" in command:  # the one writes nothing, the other into a folder
            continue
        named = [word for word in command.split() if re.fullmatch(r"[\w/%]+\.(mp4|mkv|gif|webp|png)", word)]
        assert [word for word in named if "%" not in word and not (folder / word).exists()] == [], command


@pytest.mark.slow
@pytest.mark.parametrize(("page", "program"), PROGRAMS)
def test_program(page: str, program: str, folder: Path, raft: None) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_is_something_to_run() -> None:
    assert {page for page, _ in [*COMMANDS, *PROGRAMS]} == set(PAGES)


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links(page: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", (DOCS / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (DOCS / link).exists()] == []

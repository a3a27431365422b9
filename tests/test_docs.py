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
COMMANDS = [(page, line) for page, line in LINES if "--ray" not in line]  # tests/test_cluster.py runs those
PROGRAMS = [(page, text) for page, kind, text in BLOCKS if kind == "python"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would be: `in.mp4` before them, and what earlier commands have written."""
    folder = tmp_path_factory.mktemp("docs")
    make_video(folder / "in.mp4")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_command(page: str, command: str, folder: Path, raft: None) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    named = [
        word
        for word in command.split()
        if re.fullmatch(r"[\w/%]+\.(mp4|mkv|gif|webp|png)", word) and "--dry-run" not in command
    ]
    assert [word for word in named if "%" not in word and not (folder / word).exists()] == []


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

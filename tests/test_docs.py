"""The documentation is short, in plain English, and true: its commands and programs run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deflicker.core.presets import PRESETS
from scripts.make_options_page import options_page
from tests.assets import make_video

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NAV = re.findall(r"^ +- (?:[^:\n]+): (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
CONTRIBUTORS = {"architecture.md", "algorithm.md", "faults.md"}
USERS = [page for page in NAV if page not in CONTRIBUTORS and not page.startswith("results/")]
"""Pages for users. The rest is for contributors, or a long table that a script writes."""
BLOCKS = [
    (page, kind, text)
    for page in USERS
    for mark, kind, text in re.findall(
        r"(<!-- run: preview -->\n)?```(\w+)\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL
    )
    if not mark  # tests/cli/preview runs that
]
LINES = [(page, line) for page, kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
COMMANDS = [(page, line) for page, line in LINES if "--ray" not in line]  # test_ray_cluster.py runs those
PROGRAMS = [(page, text) for page, kind, text in BLOCKS if kind == "python"]


def words(text: str) -> list[str]:
    """The words of a page, without the signs of its tables and lists."""
    return [word for word in text.split() if re.search(r"\w", word)]


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
    assert {page for page, _ in [*COMMANDS, *PROGRAMS]} == {"guide.md", "shell.md", "python.md", "recipes.md"}


def test_every_page_is_in_the_site() -> None:
    assert sorted(page for page in NAV if "/" not in page) == sorted(path.name for path in DOCS.glob("*.md"))
    assert [page for page in NAV if not (DOCS / page).exists()] == []


def test_user_pages_can_be_read_in_an_hour() -> None:
    pages = [DOCS / page for page in USERS] + [ROOT / "README.md"]
    counts = {path.name: len(words(path.read_text(encoding="utf-8"))) for path in pages}
    assert sum(counts.values()) <= 9000, counts


def test_how_it_works_is_two_thousand_words_and_two_figures() -> None:
    text = (DOCS / "method.md").read_text(encoding="utf-8")
    assert len(words(text)) <= 2000
    assert text.count("![") >= 2


def test_the_options_are_those_of_the_parser() -> None:
    """`python scripts/make_options_page.py` writes the page anew."""
    assert (DOCS / "options.md").read_text(encoding="utf-8") == options_page()


def test_every_exit_code_is_there() -> None:
    guide = (DOCS / "guide.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", guide, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "130", "141"]


def test_every_preset_is_explained() -> None:
    guide = (DOCS / "guide.md").read_text(encoding="utf-8").split("## Choose a preset")[1].split("\n## ")[0]
    assert [name for name in PRESETS if f"`{name}`" not in guide] == []


@pytest.mark.parametrize("page", sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))
def test_links(page: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", (DOCS / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (DOCS / page).parent.joinpath(link).exists()] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    calm = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # about another program
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=calm)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Guide by task" in (tmp_path / "index.html").read_text(encoding="utf-8")

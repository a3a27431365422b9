"""Every command and program in the README works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deflicker.cli import main as cli
from deflicker.core.memory import LOCKING_REACH
from deflicker.core.presets import PRESETS, PresetName
from tests.assets import make_video

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- run: (\w+) -->\n)?```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for mark, kind, text in BLOCKS if kind == "bash" and not mark for line in text.splitlines()]
PROGRAMS = [text for _, kind, text in BLOCKS if kind == "python"]


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
    assert (folder / command.split()[2]).exists() != ("--dry-run" in command)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_program(program: str, folder: Path, raft: None) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 5
    assert len(PROGRAMS) >= 2
    assert [mark for mark, _, _ in BLOCKS if mark] == ["install", "test", "preview"]


def test_every_option_is_in_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        cli.main(["--help-all"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    absent = {option for option in options if f"`{option}" not in README and option not in README}
    assert absent <= {"--version", "--verbose", "--quiet", "--encoder-option", "--help-all"}
    assert set(re.findall(r"--[a-z][a-z-]+", README)) - options <= {
        "--all",
        "--build-arg",
        "--rm",
        "--seconds",
        "--no-browser",
    }


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_as_the_table_says(name: PresetName) -> None:
    preset = PRESETS[name]
    network = preset.flow_network.replace("raft_", "RAFT ")
    lags = ", ".join(map(str, preset.lags))
    texture = f"{preset.texture_reach} frames each way, at most {preset.texture_max_side_px} px"
    texture += ", locked to keys where it lingers" if preset.texture_reach >= LOCKING_REACH else ""
    texture = texture if preset.texture_reach else "left alone"
    assert (
        f"\n| `{name}` | {network} | {preset.flow_max_side_px} px | {preset.flow_updates} | {lags} | {texture} |"
        in README
    )


def test_every_exit_code_is_there() -> None:
    assert re.findall(r"^\| (\d+) \|", README, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "130", "141"]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_link(target: str) -> None:
    assert (ROOT / target).exists()

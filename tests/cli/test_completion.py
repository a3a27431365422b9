"""The Tab key, as shells ask: the words in the environment, what completes them on standard output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ZSH = "_TYPER_COMPLETE_ARGS"


def deflicker(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deflicker", *words],
        cwd=folder, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip


def completed(shell: str, line: str, folder: Path) -> list[str]:
    """What a shell is told completes the last word of a line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)} if shell == "bash" else {ZSH: line}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"} if shell == "fish" else {}
    done = deflicker(folder, _DEFLICKER_COMPLETE=f"complete_{shell}", **asked, **action)
    assert (done.returncode, done.stderr) == (0, "")
    if shell == "zsh":
        return [each.split('"')[1] for each in done.stdout.splitlines() if '"' in each]
    return [each.split("\t")[0] for each in done.stdout.split("\n") if each]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deflicker --skip", ["--skip-existing"]),
        ("deflicker in.mp4 out.mp4 --keep", ["--keep-flashes"]),
        ("deflicker measure --js", ["--json"]),
        ("deflicker measure in.mp4 --re", ["--report"]),
        ("deflicker fvd --dev", ["--device"]),
        ("deflicker preview in.mp4 --seco", ["--seconds"]),
        ("deflicker meas", ["measure"]),
        ("deflicker pre", ["preview", "premiere.mp4"]),
        ("deflicker doc", ["doctor"]),
        ("deflicker in.mp4 meas", []),
    ],
)
def test_what_completes_a_line(shell: str, line: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "premiere.mp4").touch()
    found = completed(shell, line, tmp_path)
    assert [each.strip('"').removeprefix('"') for each in found] == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_script_in_bash(tmp_path: Path) -> None:
    """`--show-completion` prints what makes a real bash complete."""
    done = deflicker(tmp_path, _DEFLICKER_COMPLETE="source_bash")
    command = tmp_path / "deflicker"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deflicker "$@"\n')
    command.chmod(0o755)
    script = f"""{done.stdout}
        COMP_WORDS=(deflicker measure --js) COMP_CWORD=2
        $(complete -p deflicker | sed 's/.*-F \\([^ ]*\\).*/\\1/') "{command}"
        echo "${{COMPREPLY[@]}}"
    """
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("--json\n", "")

"""Broken copies of odd files: each is processed or refused in one line. No traceback, hang, crash or partial output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzzing import HANG_S

MANY = 250


@pytest.mark.parametrize(
    ("seed", "count"),
    [(0, 24), pytest.param(1, MANY, marks=pytest.mark.slow), pytest.param(2, MANY, marks=pytest.mark.slow)],
)
def test_broken_files(tmp_path: Path, seed: int, count: int) -> None:
    command = [sys.executable, "-m", "tests.fuzzing", str(tmp_path), str(seed), str(count)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=count * HANG_S, env=os.environ
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1]} ended the process: {done.returncode}\n{done.stderr[-2000:]}"
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    assert len(pairs) == count
    bad = [
        (before, after)
        for before, after in pairs
        if after["code"] not in (0, 2, 3, 4)
        or after["left"]
        or after["there"] != (after["code"] == 0)
        or "Traceback" in after["said"]
        or (after["code"] and after["said"].count("\n") != 1)
    ]
    assert bad == []
    codes = [after["code"] for _, after in pairs]
    assert codes.count(0) > count / 10  # many broken files still hold something
    assert codes.count(3) > count / 10

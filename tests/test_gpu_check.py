"""`scripts/gpu_check`, as far as it goes without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "gpu_check"


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
def test_a_dry_run_writes_its_json_and_table_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    command = [sys.executable, str(SCRIPT), "--dry-run", "--out", str(out)]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    done = json.loads(out.read_text())["done"]
    assert done["tests"]["passed"]
    (row,) = done["speed 96x64 fast"]
    assert {"flow", "solve", "encode"} <= set(row["stages"])
    assert "| 96 × 64 | fast |" in out.with_suffix(".md").read_text()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stdout.count("done before") == 2

"""The product as a user runs it: its command, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(source: Path, target: Path, *options: str) -> dict[str, Any]:
    """Run `deflicker SOURCE TARGET` without loss and return its result event (the Report as plain values).

    The options `--preset PRESET --without TERM` run it without an ingredient of the correction (`without.py`).
    Raises RuntimeError with the command's messages if it fails.
    """
    log = target.with_suffix(".json")
    log.unlink(missing_ok=True)
    if "--without" in options:
        _, preset, _, term = options
        script = str(Path(__file__).with_name("without.py"))
        command = [sys.executable, script, term, str(source), str(target), str(log), preset]
    else:
        command = [sys.executable, "-m", "deflicker", str(source), str(target), "--codec", "ffv1", "-y"]
        command += ["--log-json", str(log), *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    events = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return next(event for event in events if event["event"] == "result")

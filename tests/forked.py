"""Commands in processes of their own that need not import PyTorch again, which takes seconds each time.

A server that has imported it forks for each. Everything else is as a shell gives it: arguments, folder, environment,
no input, output by descriptors 1 and 2, an exit status or a signal. Tests of how the program itself starts do without.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_HEAVY = ["deflicker.cli.main", "deflicker.pipeline.video", "deflicker.report.html_page"]
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_LIMIT_S = 300


def run(
    program: Callable[[], object], words: Sequence[object], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Call a program that reads `sys.argv` in a process of its own. Raises TimeoutExpired after five minutes."""
    context = multiprocessing.get_context(_METHOD)
    context.set_forkserver_preload(_HEAVY)
    arguments = list(map(str, words))
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs, name) for name in ("out", "errors")]
        process = context.Process(target=_begin, args=(program, arguments, folder, dict(environment), files))
        process.start()
        process.join(_LIMIT_S)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, _LIMIT_S)
        out, errors = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
    return subprocess.CompletedProcess(arguments, process.exitcode, out, errors)


def _begin(
    program: Callable[[], object], words: list[str], folder: Path, environment: Mapping[str, str], files: list[Path]
) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["deflicker", *words]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    try:
        program()
    finally:
        atexit._run_exitfuncs()

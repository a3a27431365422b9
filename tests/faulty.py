"""The command in a process of its own, with a flow that stands still and a fault at the n-th call of the tool's code.

    python -m tests.faulty FAULT N IN OUT [OPTION ...]

FAULT is `count` (print to stdout the number of calls, and of windows that were solved), `kill` (SIGKILL), `interrupt`
(SIGINT), `vanish` (remove the folder of OUT) or `full` (no file may grow beyond N bytes: what a full disk looks like to
whoever writes).
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = str(Path(__file__).parents[1] / "deflicker")


class Trap:
    """Counts the calls of functions of the tool, in every thread, and acts at one of them."""

    def __init__(self, fault: str, at: int, target: Path) -> None:
        self.calls = self.solves = 0
        self._fault, self._at, self._target = fault, at, target

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            self.calls += 1
            self.solves += frame.f_code.co_name == "solve"
            if self.calls == self._at:
                self.spring()

    def spring(self) -> None:
        if self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._fault == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        elif self._fault == "vanish":
            shutil.rmtree(self._target.parent)


class StillPipeline:
    """The pipeline with a flow that stands still, and progress kept at every chance. Imported when it is needed."""

    @staticmethod
    def deflicker(*given: Any, **options: Any) -> Any:
        from deflicker.pipeline import video
        from deflicker.pipeline.run_context import Models
        from tests.fakes import Still

        return video.deflicker(*given, models=Models(flow=Still()), checkpoint_s=0, **options)

    @staticmethod
    def plan(*given: Any, **options: Any) -> Any:
        raise NotImplementedError


def main() -> None:
    fault, number, *words = sys.argv[1:]
    from deflicker.cli import main as cli

    trap = Trap(fault, int(number), Path(words[1]))
    if fault == "full":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), resource.RLIM_INFINITY))
    else:
        threading.setprofile(trap)
        sys.setprofile(trap)
    try:
        cli.main(words, pipeline=StillPipeline())
    finally:
        sys.setprofile(None)
        if fault == "count":
            print(trap.calls, trap.solves)


if __name__ == "__main__":
    main()

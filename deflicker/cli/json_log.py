"""A run as JSON, one object a line, for programs that watch it."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from deflicker.core.errors import OutputError
from deflicker.core.progress import Progress

PROGRESS_INTERVAL_S = 0.5


def _open(path: Path) -> TextIO:
    if str(path) == "-":
        return open(sys.stdout.fileno(), "w", buffering=1, encoding="utf-8", closefd=False)
    return path.open("a", buffering=1, encoding="utf-8")


class JsonLog(logging.Handler):
    """Writes events to a file as they happen, to standard output where it is named `-`, to nothing without a path.

    Appends, so that no file named by mistake is lost. Attached to the package's logger it also takes its warnings.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(logging.WARNING)
        self._next_progress = 0.0
        try:
            self._file = _open(path) if path else None
        except OSError as error:
            raise OutputError(f"{path}: cannot be written as a log: {error.strerror}") from error

    def event(self, name: str, **values: Any) -> None:
        """Write one line: the event's name, the time and the values."""
        if self._file:
            line = {"event": name, "time": time.time()} | values
            self._file.write(json.dumps(line, default=str) + "\n")

    def progress(self, step: Progress) -> None:
        """Write a progress event, at most two a second."""
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_INTERVAL_S
            self.event("progress", stage=step.stage, frames_done=step.frames_done, frames_total=step.frames_total)

    def emit(self, record: logging.LogRecord) -> None:
        self.event("warning", message=record.getMessage())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._file:
            self._file.close()


@contextmanager
def records_to(*handlers: logging.Handler) -> Iterator[None]:
    """Send the package's log records to these handlers, and Python's own warnings to none.

    A library's DeprecationWarning is nothing a user could act on.
    """
    logger = logging.getLogger("deflicker")
    before = logger.level
    logger.setLevel(min(handler.level for handler in handlers))
    silence = logging.NullHandler()
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(silence)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
        logging.getLogger("py.warnings").removeHandler(silence)
        logging.captureWarnings(False)
        logger.setLevel(before)

"""What the user sees: results on standard output; messages, progress and errors on standard error."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from deflicker.cli.exit_codes import exit_status
from deflicker.cli.json_log import JsonLog
from deflicker.cli.progress_bar import BatchBar, batch_bar, progress_bar
from deflicker.core.progress import Progress


class StderrHandler(logging.Handler):
    """Prints each log record on one line. (rich's handler breaks long lines, also in files and pipes.)"""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"deflicker: {record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


class Console:
    """Prints for one command. `log`: the JSON log for programs that watch the run."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, log: JsonLog | None = None) -> None:
        self.quiet, self.verbose, self.log = quiet, verbose, log or JsonLog(None)
        # On a terminal, lines must go through rich, which draws the bar below them; elsewhere, past any redirection.
        self._stdout = None if sys.stdout.isatty() else sys.stdout

    @property
    def log_level(self) -> int:
        """The least level of log records to show."""
        return logging.DEBUG if self.verbose else logging.ERROR if self.quiet else logging.WARNING

    def result(self, *lines: str) -> None:
        """Print what the command was asked for, on standard output."""
        print(*lines, sep="\n", file=self._stdout, flush=True)

    def message(self, *lines: str) -> None:
        """Print lines for people, unless the user wants errors only."""
        if not self.quiet:
            self.error(*lines)

    def error(self, *lines: str) -> None:
        """Print lines on standard error."""
        print(*lines, sep="\n", file=sys.stderr)

    def failure(self, error: BaseException) -> int:
        """Print the one line that explains what ended the run, with -v its traceback too; the exit code."""
        code, text = exit_status(error)
        self.error(f"deflicker: {text}")
        if self.verbose:
            traceback.print_exception(error)
        return code

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """A progress bar, if standard error is a terminal; progress goes to the JSON log too."""
        with progress_bar(shown=not self.quiet and sys.stderr.isatty()) as show:

            def on_progress(step: Progress) -> None:
                show(step)
                self.log.progress(step)

            yield on_progress

    def batch_bar(self) -> AbstractContextManager[BatchBar]:
        """A bar for many videos, if standard error is a terminal."""
        return batch_bar(shown=not self.quiet and sys.stderr.isatty())

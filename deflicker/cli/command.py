"""A parsed command line: what every command has, and how one is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deflicker.cli.console import Console, StderrHandler
from deflicker.cli.exit_codes import exit_status
from deflicker.cli.json_log import JsonLog, records_to
from deflicker.core.version import __version__


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """One command with its options."""

    quiet: bool = False
    """Print errors only."""
    verbose: bool = False
    """Print more, and tracebacks for bugs."""
    log_json: Path | None = None
    """Where to append events as JSON."""

    @property
    def start_event(self) -> dict[str, Any]:
        """What the JSON log's first event says of it."""
        return {}

    @abstractmethod
    def validate(self) -> None:
        """Find the common mistakes before anything heavy is imported. Raises DeflickerError."""

    @abstractmethod
    def run(self, console: Console) -> int:
        """Do it; the exit code. Raises whatever ends it early."""


def execute(command: Command) -> int:
    """Validate and run a command. Whatever ends it early becomes one line on standard error and an exit code."""
    console = Console(quiet=command.quiet, verbose=command.verbose)
    try:
        with JsonLog(command.log_json) as console.log, records_to(StderrHandler(console.log_level), console.log):
            console.log.event("start", version=__version__, **command.start_event)
            try:
                command.validate()
                return command.run(console)
            except BaseException as error:
                code, text = exit_status(error)
                console.log.event("error", type=type(error).__name__, message=text, exit_code=code)
                raise
    except BaseException as error:  # every end of a run gets its line and its code
        return console.failure(error)

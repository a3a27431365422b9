"""How a run ends: its exit code and the line that explains it."""

from __future__ import annotations

import errno
from difflib import get_close_matches
from typing import Any

from deflicker.cli.usage import DEFAULT, USAGE, help_call
from deflicker.core.errors import DeflickerError, OutputError, ReaderGone

INTERRUPTED = 130


def exit_status(error: BaseException) -> tuple[int, str]:
    """Exit code and one line for whatever ended the run."""
    name, message = type(error).__name__, " ".join(str(error).splitlines())
    if isinstance(error, DeflickerError):
        return error.exit_code, message
    if isinstance(error, BrokenPipeError):
        return ReaderGone.exit_code, "the program that reads the output has ended"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if hasattr(error, "format_message"):  # typer's usage errors; where their class lives depends on its version
        return 2, _usage(error)
    if name in ("MemoryError", "OutOfMemoryError"):
        return 1, "out of memory: try --preset fast, --max-memory or --device cpu"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError.exit_code, "the disk is full: nothing was written"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return OutputError.exit_code, "a file name is too long for its disk: choose a shorter one"
    if isinstance(error, ImportError):
        return 1, f"the installation is incomplete: {message}; see deflicker doctor"
    return 1, f"this is a bug in deflicker: {name}: {message} (-v shows where)"


def _usage(error: Any) -> str:
    """What is wrong with a command line, and what comes next to what was meant."""
    name = getattr(getattr(getattr(error, "ctx", None), "command", None), "name", DEFAULT)
    name = name if name in USAGE else DEFAULT
    wrong, possible = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if wrong and possible:
        (near,) = get_close_matches(wrong, possible, 1, 0.0)
        return f"no such option: {wrong}; did you mean {near}? {help_call(name)} lists all options"
    text = error.format_message().rstrip(".").replace("Input should be", "it must be")
    text = text.replace(", unable to parse string as a number", "").replace(" requires an argument", " needs a value")
    return f"{text[:1].lower()}{text[1:]}; usage: {USAGE[name]}, and {help_call(name)} lists the options"

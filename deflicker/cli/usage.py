"""The commands, and how each is called. Imports nothing, so that errors can name them at once."""

from __future__ import annotations

DEFAULT = "correct"
"""The default command. Users never write its name."""

USAGE = {
    DEFAULT: "deflicker IN OUT",
    "explain": "deflicker explain IN",
    "preview": "deflicker preview IN",
    "measure": "deflicker measure A [B]",
    "fvd": "deflicker fvd REAL GENERATED",
    "doctor": "deflicker doctor",
}

COMMANDS = tuple(name for name in USAGE if name != DEFAULT)
"""The other commands. A file with such a name is still reached as `./NAME`."""


def help_call(name: str) -> str:
    """What shows every option of a command."""
    return "deflicker --help-all" if name == DEFAULT else f"deflicker {name} --help"

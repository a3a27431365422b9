"""The Tab key: which command's options a shell asks for, and the names of commands as the first word.

Typer's protocol: a shell's completion script runs `deflicker` with the words typed so far in the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping
from glob import escape, glob
from typing import Any

_ASKING = "_DEFLICKER_COMPLETE"
"""Set by a shell that asks."""
_BASH = ("COMP_WORDS", "COMP_CWORD")
_OTHERS = "_TYPER_COMPLETE_ARGS"
"""The line up to the cursor, from zsh, fish and PowerShell."""


def command_asked_for(environment: MutableMapping[str, str], commands: Collection[str]) -> str | None:
    """The command, of these, that is on the line before the word to complete. It is taken off the line there, so that
    the rest is for the command by itself. None for the main command, and where no shell asks."""
    if _ASKING not in environment:
        return None
    words = environment.get(_BASH[0], "").split()
    if len(words) > 1 and words[1] in commands and (at := int(environment.get(_BASH[1], "0"))) > 1:
        environment.update(zip(_BASH, (" ".join([words[0], *words[2:]]), str(at - 1)), strict=True))
        return words[1]
    line = environment.get(_OTHERS, "")
    words = line.split(maxsplit=2)
    if len(words) > 1 and words[1] in commands and (len(words) == 3 or line[-1].isspace()):
        environment[_OTHERS] = f"{words[0]} {words[2] if len(words) == 3 else ''}"
        return words[1]
    return None


def first_word(commands: Callable[[], Collection[str]]) -> Callable[[Any, str], list[str]]:
    """What completes the first word: commands that begin so and, beside one, files; else nothing, which leaves files to
    the shell."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        found = [name for name in commands() if incomplete and name.startswith(incomplete)]
        if not found or ctx.params.get("paths"):
            return []
        return [*found, *sorted(glob(f"{escape(incomplete)}*"))]

    return complete

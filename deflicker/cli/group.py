"""`deflicker IN OUT` and `deflicker COMMAND …` on one command line: a group of commands with a default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from glob import escape, glob
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from deflicker.cli.arguments import reveal
from deflicker.cli.usage import DEFAULT


class DefaultCommandGroup(TyperGroup):
    """Hands every line that does not begin with a command's name to the default command.

    Usage, help and completion of the program are those of the default command. A file that has a command's name is
    still reached as `./NAME`.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if extra.get("resilient_parsing"):  # completion, which offers every option
            for command in self.commands.values():
                reveal(command.params)
        if args and args[0] == "help" and not Path("help").exists():
            args = [*args[1:2], "--help"]
        if args and args[0] in self.commands and args[0] != DEFAULT:
            return super().make_context(info_name, args, parent, **extra)
        default = self.commands[DEFAULT]
        for each in self.params:  # --install-completion and such
            if each not in default.params:
                each.hidden = True  # type: ignore[attr-defined]
                default.params.append(each)
        return default.make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


def complete_first_word(commands: Callable[[], Iterable[str]]) -> Callable[[Any, str], list[str]]:
    """Completion of the first word: commands that begin so, with files of such names; if there are none, nothing, which
    leaves files to the shell."""

    def complete(ctx: Any, incomplete: str) -> list[str]:
        found = [name for name in commands() if incomplete and name.startswith(incomplete)]
        if not found or ctx.params.get("names"):
            return []
        return [*found, *sorted(glob(f"{escape(incomplete)}*"))]

    return complete

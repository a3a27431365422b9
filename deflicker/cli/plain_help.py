"""The help of a command in the words of the documentation: its call first, and no names of Python's types."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from deflicker.cli.usage import USAGE


class PlainCommand(TyperCommand):
    """A command whose help begins with its call. Names and switches stand without a type."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*USAGE[self.name or ""].split()[1 if ctx.parent is None else 2 :], "[OPTIONS]"]

    def get_params(self, ctx: Any) -> list[Any]:
        found = super().get_params(ctx)
        for each in found:
            # Newer versions of typer print `<bool>` and `<Path>` there; older ones do not have this method.
            if each.param_type_name == "argument" or getattr(each, "is_flag", False):
                vars(each)["display_type_rich"] = lambda ctx: None
        return found

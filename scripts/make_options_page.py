"""Write docs/options.md from the parser of the command line: python scripts/make_options_page.py

tests/test_docs.py compares the page with the parser.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from deflicker.cli.main import app
from deflicker.cli.usage import COMMANDS, DEFAULT, USAGE

PAGE = Path(__file__).parent.parent / "docs" / "options.md"
HEAD = """\
# Options

Generated from the parser by `scripts/make_options_page.py`. `deflicker --help` shows the twelve usual options, here \
in bold; `deflicker --help-all` shows all of them. `deflicker --install-completion` completes them with the Tab key.
"""
LEFT_OUT = {"help", "help_all", "install_completion", "show_completion"}


def options_page() -> str:
    """The page, as Markdown."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    for name in (DEFAULT, *COMMANDS):
        command = group.commands[name]
        parts.append(f"## `{USAGE[name]}`")
        parts.append(command.help.split("\n\n")[0].replace("\n", " "))
        options = [each for each in command.params if each.param_type_name == "option" and each.name not in LEFT_OUT]
        for panel in dict.fromkeys(each.rich_help_panel if name == DEFAULT else None for each in options):
            members = [each for each in options if name != DEFAULT or each.rich_help_panel == panel]
            parts += [f"### {panel}"] if panel else []
            rows = [row(each, bold=name == DEFAULT and not each.hidden) for each in members]
            parts.append("\n".join(["| option | what it does | default |", "|---|---|---|", *rows]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def row(option: Any, bold: bool) -> str:
    """One option as a line of a table."""
    spellings = ", ".join(f"`{each}`" for each in sorted([*option.opts, *option.secondary_opts], key=len))
    value = "" if option.is_flag else f" `{metavar(option)}`".replace("|", "\\|")
    text, _, default = option.help.partition(" (default: ")
    if option.secondary_opts:
        default = f"`{(option.opts if option.default else option.secondary_opts)[0]}`"
    elif not default and not option.is_flag and option.default not in (None, ""):
        default = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
    shown = f"{spellings}{value}"
    return f"| {f'**{shown}**' if bold else shown} | {text} | {default.rstrip(')')} |"


def metavar(option: Any) -> str:
    """What stands for the option's value."""
    if option.metavar:
        return str(option.metavar)
    kind = getattr(option, "type", option)  # where bounds are kept depends on typer's version
    low, high = (getattr(kind, name, None) for name in ("min", "max"))
    return f"{low:g}..{high:g}" if low is not None and high is not None else "N"


if __name__ == "__main__":
    PAGE.write_text(options_page(), encoding="utf-8")

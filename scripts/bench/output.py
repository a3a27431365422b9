"""What comes out: progress, JSON, Markdown; and JSON back in."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import speed, tables

HIDDEN = frozenset({"run", "json", "markdown", "plots", "clips", "pairs", "real", "command", "keep"})
"""Options that are not kept: paths say more about a machine than about a measurement."""


def say(line: str) -> None:
    """Progress, kept apart from the tables."""
    print(line, file=sys.stderr, flush=True)


def write_json(options: argparse.Namespace, rows: Sequence[Any]) -> None:
    """Write all rows so far: a long run that is cut short keeps what it found."""
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name not in HIDDEN}
        what = "real" if getattr(options, "real", None) else options.command
        values = {
            "command": what,
            "settings": settings,
            "machine": speed.machine(),
            "rows": [r.to_dict() for r in rows],
        }
        options.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_json(paths: Sequence[Path]) -> tuple[str, list[dict[str, Any]]]:
    """The command that wrote these files, and what is in each. Exits where they are of several commands."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    commands = {each["command"] for each in found}
    if len(commands) != 1:
        sys.exit(f"these files are of several commands ({', '.join(sorted(commands))}): give those of one")
    return commands.pop(), found


def show(options: argparse.Namespace, *parts: str | tables.Table) -> None:
    """Print text and tables, and write them as Markdown where that is wanted."""
    print("\n\n".join(part if isinstance(part, str) else tables.text(part) for part in parts if part))
    if options.markdown:
        blocks = [part if isinstance(part, str) else tables.markdown(part) for part in parts if part]
        options.markdown.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def bullets(title: str, lines: Sequence[str]) -> str:
    """A list under a title; `none` where it is empty."""
    return "\n".join([f"{title}: none" if not lines else f"{title}:\n", *(f"- {line}" for line in lines)])


def write_plots(folder: Path | None, plots: dict[str, str]) -> None:
    """Write each SVG under its name."""
    if folder and plots:
        folder.mkdir(parents=True, exist_ok=True)
        for name, svg in plots.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")

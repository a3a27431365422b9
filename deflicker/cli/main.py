"""The program `deflicker`: its commands, and its exit.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import typer

from deflicker.cli.console import Console
from deflicker.cli.correct_command import correct
from deflicker.cli.doctor import doctor
from deflicker.cli.explain_command import explain
from deflicker.cli.group import DefaultCommandGroup
from deflicker.cli.measure_command import fvd, measure
from deflicker.cli.plain_help import PlainCommand
from deflicker.cli.preview.preview_command import preview
from deflicker.cli.signals import interruptible
from deflicker.cli.usage import DEFAULT
from deflicker.cli.video_command import Pipeline
from deflicker.core.malloc import use_single_arena

_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(cls=DefaultCommandGroup)
_COMMANDS: dict[str, Callable[..., int]] = {
    DEFAULT: correct,
    "explain": explain,
    "preview": preview,
    "measure": measure,
    "fvd": fvd,
    "doctor": doctor,
}
for name, command in _COMMANDS.items():
    app.command(name, cls=PlainCommand, context_settings=_CONTEXT)(command)

FIRST_STEPS = """\
deflicker takes the flicker out of a video, and changes nothing else.

  deflicker in.mp4 out.mp4    correct a video
  deflicker explain in.mp4    say what flickers in it, and which command to run
  deflicker preview in.mp4    compare a few seconds before and after in the browser
  deflicker --help            the usual options; --help-all lists all of them"""
"""What a user sees who gives no arguments."""


def main(arguments: Sequence[str] | None = None, *, pipeline: Pipeline | None = None) -> NoReturn:
    """Entry point of the program. `pipeline`: what corrects a video, `deflicker.pipeline.video` if None."""
    # Threads that spin while they wait take the cores from decoder and encoder. Read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    use_single_arena()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words and "_DEFLICKER_COMPLETE" not in os.environ:  # by which shells ask for completion
        Console().error(FIRST_STEPS)
        sys.exit(2)
    try:
        with interruptible():
            code = app(words, prog_name="deflicker", standalone_mode=False, obj=pipeline)
    except SystemExit as end:  # shell completion
        code = end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # a command line that cannot be used
        code = Console().failure(error)
    sys.exit(code or 0)

"""The command line's options: their panels in the help, and their texts made into values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import typer

from deflicker.core.errors import SettingsError

correction = partial(typer.Option, rich_help_panel="Correction")
source = partial(typer.Option, rich_help_panel="Input")
output = partial(typer.Option, rich_help_panel="Output")
many = partial(typer.Option, rich_help_panel="Many videos")
hardware = partial(typer.Option, rich_help_panel="Hardware and weights")
logs = partial(typer.Option, rich_help_panel="Logging and information")
"""Panels of the help. Options that few need are hidden: only `--help-all` and completion show them."""

FORMAT_NAMES = {"matroska": "mkv", "yuv4mpegpipe": "y4m", "rawvideo": "raw"}
"""FFmpeg's names of the formats that `--format` takes, and ours."""

T = TypeVar("T")


def show_all_help(ctx: typer.Context, wanted: bool) -> None:
    """Callback of `--help-all`: the help with every option."""
    if wanted:
        reveal(ctx.command.params)
        ctx.get_help()  # prints
        raise typer.Exit


def reveal(parameters: Iterable[Any]) -> None:
    """Show hidden options, too."""
    for parameter in parameters:
        parameter.hidden = False


def read_option(read: Callable[[str], T], text: str, option: str) -> T:
    """Parse an option's text with `read`. Raises SettingsError that names the option."""
    try:
        return read(text)
    except SettingsError as error:
        raise SettingsError(f"{option}: {error}") from error


def read_optional(read: Callable[[str], T], text: str | None, option: str) -> T | None:
    """The same; None if the option was not given."""
    return None if text is None else read_option(read, text, option)


def key_and_value(text: str) -> tuple[str, str]:
    """Split `KEY=VALUE`. Raises SettingsError if the text does not have this form."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise SettingsError(f"{text!r} is not KEY=VALUE")
    return key, value

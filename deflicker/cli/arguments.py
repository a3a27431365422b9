"""The command line's options: their panels in the help; their texts into values, naming the option where that fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import typer

from deflicker.core.errors import SettingsError

correction = partial(typer.Option, rich_help_panel="Correction")
source = partial(typer.Option, rich_help_panel="Input")
output = partial(typer.Option, rich_help_panel="Output")
many = partial(typer.Option, rich_help_panel="Many videos")
hardware = partial(typer.Option, rich_help_panel="Hardware and weights")
logs = partial(typer.Option, rich_help_panel="Logging and information")

T = TypeVar("T")


def read_option(read: Callable[[str], T], text: str, option: str) -> T:
    """What `read` makes of a text. Raises SettingsError with the option's name where it does."""
    try:
        return read(text)
    except SettingsError as error:
        raise SettingsError(f"{option}: {error}") from error


def read_optional(read: Callable[[str], T], text: str | None, option: str) -> T | None:
    """The same, and None of nothing."""
    return None if text is None else read_option(read, text, option)


def key_and_value(text: str) -> tuple[str, str]:
    """Part `KEY=VALUE`. Raises SettingsError where the text is none."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise SettingsError(f"{text!r} is no KEY=VALUE")
    return key, value

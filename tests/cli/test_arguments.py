"""Option texts: what is wrong is said with the option's name."""

from __future__ import annotations

import pytest

from deflicker.cli.arguments import key_and_value, read_option, read_optional
from deflicker.core.errors import SettingsError
from deflicker.core.values import parse_size


def test_what_is_wrong_names_its_option() -> None:
    assert read_option(parse_size, "2K", "--max-memory") == 2048
    with pytest.raises(SettingsError, match=r"^--max-memory: 'lots' is not a size"):
        read_option(parse_size, "lots", "--max-memory")


def test_nothing_given_is_nothing() -> None:
    assert read_optional(parse_size, None, "--max-memory") is None
    assert read_optional(parse_size, "1", "--max-memory") == 1


@pytest.mark.parametrize(("text", "pair"), [("a=b", ("a", "b")), ("a=b=c", ("a", "b=c")), ("a=", ("a", ""))])
def test_pairs(text: str, pair: tuple[str, str]) -> None:
    assert key_and_value(text) == pair


@pytest.mark.parametrize("text", ["", "a", "=b"])
def test_no_pairs(text: str) -> None:
    with pytest.raises(SettingsError, match="KEY=VALUE"):
        key_and_value(text)

"""The table of protections is about what is there: each in one place, with its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.break_protections import BREAKS, ROOT, Break


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: f"{each.fault}: {each.without}")
def test_the_protection_and_its_test_are_there(each: Break) -> None:
    assert len(each.places()) == 1
    file, _, name = each.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_documented_table_is_this_one() -> None:
    text = Path(ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    for each in BREAKS:
        module = each.places()[0].relative_to(ROOT / "deflicker").as_posix()
        assert f"| {each.fault} | {each.without} (`{module}`) | `{each.test}` fails |" in text


def test_every_file_that_the_document_names_is_there() -> None:
    named = set(re.findall(r"`([\w/]+\.py)[`:]", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")))
    assert len(named) > 10
    assert [
        name for name in sorted(named) if not (ROOT / name).exists() and not (ROOT / "deflicker" / name).exists()
    ] == []

"""Plain English: the worst phrases of earlier versions stay out of what users read. CONTRIBUTING.md has the rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_docs import DOCS, ROOT, USERS

THINGS = "video|image|picture|file|folder|number|size|time|frame|flicker|flash|pipe"
WORST = {
    rf"(?<!there )\bis no (?!longer\b)(?:\w+ )?(?:{THINGS})\b": "is not a …",
    r"\b(?:not )?to be had\b": "is not available",
    r"\bwhat is (?:kept|told|said) of\b": "the saved …",
    r"\bwho(?:ever)? (?:looks on|wants to see|may not expect)\b": "an observer",
    r"\bbeside (?:it|them|OUT|the)\b": "next to",
    r"\bgoes with it\b": "is removed, too",
    r"\bthat is meant\b": "intended",
    r"\bdrift from what\b": "the reference for --anchor",
    r"\bsteady twin\b": "a stable video of the same frames",
    r"\blet be\b": "left alone",
    r"\bladder of\b": "a fallback",
    r"\bin vain\b": "without effect",
    r"\b(?:settled|taken) out of it\b": "removed",
    r"\blean on their\b": "rely on their",
}
TEMPLATES = sorted((ROOT / "deflicker").rglob("templates/*"))


def messages(path: Path) -> Iterator[str]:
    """The strings of a module that are not docstrings, each with its replacement fields as `{}`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def found(text: str) -> list[str]:
    """The worst phrases in a text, each with what to write instead."""
    plain = " ".join(text.split())
    return [
        f"{match[0]!r}: {instead}"
        for wrong, instead in WORST.items()
        for match in re.finditer(wrong, plain, re.IGNORECASE)
    ]


@pytest.mark.parametrize("folder", ["core", "media", "motion", "metrics", "correction", "report", "pipeline", "cli"])
def test_messages(folder: str) -> None:
    said = [text for path in (ROOT / "deflicker" / folder).rglob("*.py") for text in messages(path)]
    assert len(said) > 10
    assert [each for text in said for each in found(text)] == []


def test_pages_and_templates() -> None:
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *(DOCS / page for page in USERS), *TEMPLATES]
    assert {path.name: found(path.read_text(encoding="utf-8")) for path in pages} == {path.name: [] for path in pages}


def test_a_bad_sentence_is_found() -> None:
    assert found("in.txt is no\nvideo") == ["'is no video': is not a …"]
    assert found("it is no longer a video; a flash is not a fade") == []


def test_sentences_of_the_readme_are_short() -> None:
    marks = r"```.*?```|^\|.*$|^#.*$|^\* |!?\[|\]\([^)]*\)|<!--.*?-->"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(marks, "\n", readme, flags=re.DOTALL | re.MULTILINE)
    sentences = [sentence.split() for sentence in re.split(r"(?<=[.:;?!])\s|\n\n", text)]
    assert [" ".join(words) for words in sentences if len(words) > 25] == []

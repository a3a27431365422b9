#!/usr/bin/env python
"""Print how the package is built, and exit with 1 where a rule is broken: `scripts/structure.py [--all]`.

The rules: eight folders that import in one order, no circle, no two modules of one name, short parameter lists, no test
that patches the package's internals. `--all` also lists what `Any` is written for. tests/test_import.py holds the same.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "deflicker"

LAYERS = ("core", "media", "motion", "metrics", "correction", "report", "pipeline", "cli")
"""The folders of the package, in the order in which they may import: each what stands left of it, and itself."""
MAX_PARAMETERS = 6
LONG = {
    "pipeline": ("deflicker", "deflicker_frames", "fvd", "measure", "plan"),
    "cli": ("correct", "explain", "fvd", "measure", "preview"),
}
"""Functions that may have more: a user's keyword arguments, and the commands' lists of options."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """The module's name as an import spells it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports(path: Path) -> set[str]:
    """Every module, and every member of one, that is imported anywhere in the file."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def top_names() -> set[str]:
    """What git tracks at the package's top. Empty outside a git checkout."""
    listed = subprocess.run(["git", "ls-files", "deflicker"], cwd=ROOT, capture_output=True, text=True, check=False)
    return {Path(line).parts[1] for line in listed.stdout.splitlines() if (ROOT / line).exists()}


def upward_imports() -> list[str]:
    """Imports against the order of LAYERS."""
    upward = []
    for path in modules():
        layer = path.relative_to(PACKAGE).parts[0]
        if layer in LAYERS:
            allowed = tuple(f"deflicker.{each}." for each in LAYERS[: LAYERS.index(layer) + 1])
            used = [name for name in imports(path) if name.split(".")[0] == "deflicker" and name != "deflicker"]
            upward += [f"{name_of(path)}: {name}" for name in used if not f"{name}.".startswith(allowed)]
    return sorted(upward)


def circle() -> list[str]:
    """The modules of one circle of imports; empty where there is none.

    Imports within functions count, those for annotations alone do not.
    """
    names = {name_of(path): path for path in modules() if path.parent != PACKAGE}
    graph = {name: (imports(path) - _for_annotations(path)) & names.keys() - {name} for name, path in names.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def _for_annotations(path: Path) -> set[str]:
    """The modules that are imported where types are checked alone."""
    blocks = [
        node for node in ast.walk(tree(path)) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    inside = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    return {str(node.module) for node in inside}


def shared_names() -> list[str]:
    """File names that mean two modules."""
    names = [path.stem for path in modules() if path.stem != "__init__"]
    return sorted({name for name in names if names.count(name) > 1})


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a file with its dotted name."""

    def inside(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield name, child
                yield from inside(child, name)
            else:
                yield from inside(child, prefix)

    return inside(tree(path), name_of(path))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """All but `self` and `cls`."""
    given = function.args
    listed = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [each for each in listed if each.arg not in ("self", "cls")]


def long_signatures() -> list[str]:
    """Functions with more than MAX_PARAMETERS, those of LONG aside."""
    found = []
    for path in modules():
        for name, function in functions(path):
            layer, own_name = name.split(".")[1], name.rpartition(".")[2]
            if len(parameters(function)) > MAX_PARAMETERS and own_name not in LONG.get(layer, ()):
                found.append(f"{name} ({len(parameters(function))})")
    return found


def any_signatures() -> list[str]:
    """Functions whose signature says `Any`."""
    found = []
    for path in modules():
        for name, function in functions(path):
            given = [*parameters(function), function.args.vararg, function.args.kwarg]
            notes = [each.annotation for each in given if each is not None] + [function.returns]
            words = {node.id for note in notes if note for node in ast.walk(note) if isinstance(node, ast.Name)}
            if "Any" in words:
                found.append(name)
    return found


def patches() -> list[str]:
    """Places in the tests that replace a member of the package, by `setattr` or by assigning to a module.

    A `setattr` of an owner that only the run knows counts, too.
    """
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        homes = {
            (name.asname or name.name).split(".")[0]: (getattr(node, "module", None) or name.name).split(".")[0]
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom | ast.Import)
            for name in node.names
        }
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
                owner = _root(node.args[0])
                unknown = isinstance(node.args[0], ast.Name) and owner not in homes
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                owner, unknown = _root(node.targets[0].value), False
            else:
                continue
            if unknown or homes.get(owner, owner) == "deflicker":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}")
    return found


def _root(node: ast.expr) -> str:
    """The first name of `a.b.c`, written as code or as text."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if isinstance(node, ast.Constant):
        return str(node.value).split(".")[0]
    return node.id if isinstance(node, ast.Name) else ""


def lines() -> int:
    """Lines of the product's Python files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules())


def main() -> int:
    extra = sorted(top_names() - {*LAYERS, "__init__.py", "__main__.py", "py.typed"})
    rules = {
        "names at the top besides the eight folders": extra,
        "upward imports": upward_imports(),
        "modules in a circle of imports": circle(),
        "file names of two modules": shared_names(),
        f"functions with more than {MAX_PARAMETERS} parameters": long_signatures(),
        "patches of internals in the tests": patches(),
    }
    for rule, broken in rules.items():
        print(f"{len(broken):5} {rule}")
        for each in broken:
            print(f"        {each}")
    anys = any_signatures()
    print(f"{len(anys):5} functions with Any in their signature")
    if "--all" in sys.argv[1:]:
        print("".join(f"        {name}\n" for name in anys), end="")
    print(f"{lines():5} lines in {len(modules())} files of the package")
    return int(any(rules.values()))


if __name__ == "__main__":
    sys.exit(main())

"""The façade: what it exports, that importing it is cheap, and that imports within the package point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import deflicker as package

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "av", "numpy", "kornia", "lpips", "rich.progress")

LAYERS = ("core", "media", "motion", "metrics", "correction", "report", "pipeline", "cli")
"""The folders of the package, in the order in which they may import: each what stands left of it, and itself."""
PURE = [
    "correction/tone/losses.py",
    "motion/warp.py",
    "correction/tone/gain_field.py",
    "correction/texture/latent.py",
    "correction/texture/latent_chain.py",
    "correction/texture/autoencoder/codec.py",
    *(
        f"metrics/{name}.py"
        for name in ("align", "boil", "drift", "flicker", "frechet", "guardrails", "per_frame", "seams", "variance")
    ),
    "metrics/vbench.py",
    "metrics/warp_error.py",
]


def imports(path: Path) -> set[str]:
    """Every module imported anywhere in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def modules() -> list[Path]:
    return sorted((ROOT / "deflicker").rglob("*.py"))


def test_the_top_holds_the_layers_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files", "deflicker"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = {Path(line).parts[1] for line in listed.stdout.splitlines() if (ROOT / line).exists()}
    if names:  # an unpacked source archive is no git checkout
        assert names == {*LAYERS, "__init__.py", "__main__.py", "py.typed"}


def test_imports_point_one_way() -> None:
    upward = []
    for path in modules():
        layer = path.relative_to(ROOT / "deflicker").parts[0]
        if layer in LAYERS:
            allowed = tuple(f"deflicker.{each}." for each in LAYERS[: LAYERS.index(layer) + 1])
            used = [name for name in imports(path) if name.split(".")[0] == "deflicker" and name != "deflicker"]
            upward += [f"{path}: {name}" for name in used if not f"{name}.".startswith(allowed)]
    assert upward == []


def test_tone_and_texture_do_not_import_each_other() -> None:
    folder = ROOT / "deflicker" / "correction"
    for mine, other in (("tone", "texture"), ("texture", "tone")):
        for path in (folder / mine).rglob("*.py"):
            assert not any(f"deflicker.correction.{other}" in name for name in imports(path)), path


def test_no_two_modules_share_a_name() -> None:
    names = [path.stem for path in modules() if path.stem != "__init__"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_only_the_media_folder_imports_av() -> None:
    users = {str(path.relative_to(ROOT / "deflicker")) for path in modules() if "av" in imports(path)}
    assert {name for name in users if not name.startswith("media")} <= {"cli/doctor.py"}


def test_only_the_command_prints_or_exits() -> None:
    def calls(path: Path) -> set[str]:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}

    assert {path.name for path in modules() if calls(path) & {"print", "exit", "sys.exit"}} == {"main.py"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_what_a_file_says(path: Path) -> None:
    """No shell, no pickle that is not restricted, no archive unpacked by its own names."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = [ast.unparse(call.func) for call in calls]
    banned = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load"}
    assert banned & set(names) == set()
    assert [name for name in names if name.endswith((".extractall", ".extract"))] == []
    options = [
        (name, {word.arg: ast.unparse(word.value) for word in call.keywords})
        for name, call in zip(names, calls, strict=True)
    ]
    assert [name for name, words in options if "shell" in words] == []
    assert all(words.get("weights_only") == "True" for name, words in options if name == "torch.load")


@pytest.mark.parametrize("part", PURE)
def test_the_mathematics_knows_no_files(part: str) -> None:
    folder = ROOT / "deflicker" / part
    for path in [folder] if folder.suffix else folder.glob("*.py"):
        if path.exists():
            assert imports(path) & {"os", "pathlib", "av", "logging", "subprocess"} == set(), path


@pytest.mark.parametrize("name", package.__all__)
def test_exported_members_exist(name: str) -> None:
    assert getattr(package, name)
    assert name in dir(package)


def test_exported_members_are_the_documented_ones() -> None:
    assert sorted(package.__all__) == sorted([*package._HOME_OF, "__version__"])


def test_unknown_member_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


def test_the_function_has_the_name_of_the_package() -> None:
    from deflicker import deflicker

    assert callable(deflicker)


def test_installed_version_is_the_package_s() -> None:
    from importlib.metadata import version

    assert version("video-deflicker") == package.__version__
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


@pytest.mark.parametrize(
    "code",
    [
        "import deflicker",
        "from deflicker import Settings, Report, Progress, TimePoint, DeflickerError",
        "import deflicker.cli.main",
        "from deflicker.cli.main import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        "from deflicker.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from deflicker.cli.main import main\ntry: main(['nowhere.mp4', 'out.mp4'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    code += f"\nimport sys\nassert not (loaded := {set(HEAVY)} & set(sys.modules)), loaded"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

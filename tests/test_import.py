"""The façade: what it exports, that importing it is cheap, and that imports within the package point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import deflicker as package
from scripts import structure
from scripts.structure import imports, modules

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "av", "numpy", "kornia", "lpips", "rich.progress")

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
    "metrics/temporal_losses.py",
    "metrics/vbench.py",
    "metrics/warp_error.py",
]


def test_the_top_holds_the_layers_and_nothing_else() -> None:
    if names := structure.top_names():  # an unpacked source archive is no git checkout
        assert names == {*structure.LAYERS, "__init__.py", "__main__.py", "py.typed"}


def test_imports_point_one_way() -> None:
    assert structure.upward_imports() == []


def test_no_imports_go_in_a_circle() -> None:
    assert structure.circle() == []


def test_no_two_modules_share_a_name() -> None:
    assert structure.shared_names() == []


def test_parameter_lists_are_short() -> None:
    assert structure.long_signatures() == []


def test_no_test_patches_the_package() -> None:
    assert structure.patches() == []


def test_tone_and_texture_do_not_import_each_other() -> None:
    folder = ROOT / "deflicker" / "correction"
    for mine, other in (("tone", "texture"), ("texture", "tone")):
        for path in (folder / mine).rglob("*.py"):
            assert not any(f"deflicker.correction.{other}" in name for name in imports(path)), path


def test_only_the_media_folder_imports_av() -> None:
    users = {str(path.relative_to(ROOT / "deflicker")) for path in modules() if "av" in imports(path)}
    assert {name for name in users if not name.startswith("media")} <= {"cli/doctor.py"}


def test_only_the_command_prints_or_exits() -> None:
    def calls(path: Path) -> set[str]:
        nodes = ast.walk(structure.tree(path))
        return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}

    assert {path.name for path in modules() if calls(path) & {"exit", "sys.exit"}} == {"main.py"}
    assert {path.name for path in modules() if "print" in calls(path)} == {"console.py"}


def test_nothing_runs_what_a_file_says() -> None:
    """No shell, no pickle that is not restricted, no archive unpacked by its own names."""
    banned = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load"}
    wrong = []
    for path in modules():
        for call in (node for node in ast.walk(structure.tree(path)) if isinstance(node, ast.Call)):
            name, words = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
            unsafe_load = name == "torch.load" and words.get("weights_only") != "True"
            if name in banned or name.endswith((".extractall", ".extract")) or "shell" in words or unsafe_load:
                wrong.append(f"{path}: {ast.unparse(call)}")
    assert wrong == []


def test_the_mathematics_knows_no_files() -> None:
    for path in (ROOT / "deflicker" / part for part in PURE):
        assert imports(path) & {"os", "pathlib", "av", "logging", "subprocess"} == set(), path


@pytest.mark.parametrize("name", package.__all__)
def test_exported_members_exist(name: str) -> None:
    assert getattr(package, name)
    assert name in dir(package)


def test_exported_members_are_the_documented_ones() -> None:
    assert sorted(package.__all__) == sorted(package._HOME_OF)


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

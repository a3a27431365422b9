"""What is handed to users: the wheel, the container's recipe, completion in the shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from deflicker.core.presets import PRESETS

ROOT = Path(__file__).parent.parent


AUTOENCODER = "deflicker/correction/texture/autoencoder"
TEXTURE = [f"deflicker/correction/texture/{name}" for name in ("temporal_attention.safetensors", "MODEL_CARD.md")]
TEMPLATES = [
    *(f"deflicker/report/templates/report.{kind}" for kind in ("html", "css", "js")),
    *(f"deflicker/cli/preview/templates/preview.{kind}" for kind in ("html", "css", "js")),
]
DATA = ["deflicker/py.typed", *TEXTURE, f"{AUTOENCODER}/own.safetensors", f"{AUTOENCODER}/MODEL_CARD.md", *TEMPLATES]
FALLBACK = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools_scm"][
    "fallback_version"
]


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def sources(folder: Path) -> Path:
    """What a wheel is made of, and a test that does not belong in it."""
    modules = [path for path in (ROOT / "deflicker").rglob("*.py") if path.name != "_version.py"]
    files = ["pyproject.toml", "README.md", "LICENSE", ".gitignore", *DATA]
    for path in [*(ROOT / name for name in files), *modules]:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (folder / "tests").mkdir()
    (folder / "tests" / "test_x.py").touch()
    return folder


def build(source: Path, target: Path) -> Path:
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("setuptools_scm")
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", target, source]
    subprocess.run(list(map(str, words)), check=True, env=os.environ | {"PIP_NO_INDEX": "1"})
    (wheel,) = target.glob("*.whl")
    return wheel


def test_the_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    """It holds the package and nothing else; what it installs says its version, without git that of pyproject.toml."""
    source = sources(tmp_path / "source")
    wheel = build(source, tmp_path)
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
    info = {name for name in names if ".dist-info/" in name}
    files = {path.relative_to(source).as_posix() for path in (source / "deflicker").rglob("*.py")}
    assert {*names} - info == files | {"deflicker/_version.py", *DATA}
    assert any(name.endswith("LICENSE") for name in info)
    home = tmp_path / "home"
    venv.create(home, with_pip=False, symlinks=sys.platform != "win32")
    folders = {
        name: sysconfig.get_path(name, vars={"base": str(home), "platbase": str(home)})
        for name in ("purelib", "scripts")
    }
    words = [sys.executable, "-m", "pip", "--python", home, "install", "--no-deps", "--no-index", "-q", wheel]
    subprocess.run(list(map(str, words)), check=True)
    # What it depends on is borrowed from here, behind its own packages.
    (Path(folders["purelib"]) / "borrowed.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = Path(folders["scripts"]) / "deflicker"
    done = subprocess.run([command, "--version"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"deflicker {FALLBACK}\n"), done.stderr
    code = "import deflicker, deflicker.cli.main; print(deflicker.__file__)"
    python = Path(folders["scripts"]) / "python"
    done = subprocess.run([python, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith(folders["purelib"]), done.stderr


def test_the_sdist_makes_the_same_wheel(tmp_path: Path) -> None:
    """What is uploaded beside the wheel builds it, without the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("setuptools_scm")
    source = sources(tmp_path / "source")
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=source, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    names = []
    for what, folder in ((source, tmp_path / "direct"), (archive, tmp_path / "by way of the sdist")):
        with zipfile.ZipFile(build(what, folder)) as contents:
            names.append(sorted(contents.namelist()))
    assert names[0] == names[1]


LIGHT = ["filelock", "jinja2", "markupsafe", "numpy", "pillow", "platformdirs", "rich", "typer"]
RUNNERS = {"uvx": ["uv", "tool", "run", "--offline", "--from"], "pipx": ["pipx", "run", "--spec"]}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="environments lie elsewhere")
@pytest.mark.parametrize(("runner", "needs"), [("uvx", []), pytest.param("pipx", LIGHT, marks=pytest.mark.network)])
def test_without_installing_anything(runner: str, needs: list[str], tmp_path: Path) -> None:
    """`uvx --from WHEEL deflicker` and `pipx run --spec WHEEL deflicker` run the program in an environment they make.

    Its gigabytes of dependencies are left out of this wheel. `uvx` borrows them from here; `pipx` lets nothing
    in, and installs those that `--version` needs.
    """
    pytest.importorskip(RUNNERS[runner][0])
    source = sources(tmp_path / "source")
    project = source / "pyproject.toml"
    project.write_text(re.sub(r"(?s)\ndependencies = \[.*?\n\]", f"\ndependencies = {needs}", project.read_text()))
    wheel = build(source, tmp_path)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages")),
        "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_PYTHON": sys.executable, "UV_CACHE_DIR": str(tmp_path / "uv"),
    }  # fmt: skip
    words = [sys.executable, "-m", *RUNNERS[runner], str(wheel), "deflicker", "--version"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"deflicker {FALLBACK}\n"), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_the_version_is_the_tag_s(tmp_path: Path) -> None:
    source = sources(tmp_path / "source")
    git(source, "init", "-q")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "first")
    without = build(source, tmp_path / "without").name.split("-")[1]
    assert re.fullmatch(r"0\.1(\.\d)?\.dev\d+(\+g\w+)?", without)  # a clone without tags
    git(source, "tag", "v3.2.1")
    assert build(source, tmp_path / "with").name.split("-")[1] == "3.2.1"


# --- The container's recipe -------------------------------------------------------------------------------------------

RECIPE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STEPS = [
    (line.split()[0], line.partition(" ")[2])
    for line in re.sub(r"\\\n", " ", RECIPE).splitlines()
    if line and not line.startswith("#")
]
"""Instruction and what follows, lines that go on joined."""


def test_the_container_is_made_of_what_is_there() -> None:
    copied = [word for name, words in STEPS if name == "COPY" for word in words.split()[:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= {*ignored}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {needed["readme"], *needed["license-files"], "pyproject.toml"} <= {*copied}


def test_the_steps_of_the_recipe() -> None:
    names = [name for name, _ in STEPS]
    assert {*names} <= {"ARG", "FROM", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT"}
    assert names[:2] == ["ARG", "FROM"]  # the base image is an argument
    told = {words.partition("=")[0] for name, words in STEPS if name in ("ARG", "ENV")}
    used = {word for name, words in STEPS if name in ("FROM", "RUN") for word in re.findall(r"\$\{?([A-Z_]+)", words)}
    assert used <= told
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (entry,) = [json.loads(words) for name, words in STEPS if name == "ENTRYPOINT"]
    assert entry[0] in project["scripts"]
    base = next(words.partition("=")[2] for name, words in STEPS if words.startswith("PYTHON="))
    assert f"Programming Language :: Python :: {base}" in project["classifiers"]
    networks = {name for _, words in STEPS for name in re.findall(r"weights\.load\('(\w+)'\)", words)}
    assert networks == {preset.flow_network for preset in PRESETS.values()}


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(("variant", "index"), [("cpu", "whl/cpu"), ("cuda", ""), ("tpu", None)])
def test_the_variants_of_the_container(variant: str, index: str | None, tmp_path: Path) -> None:
    """The step that chooses PyTorch, run with a pip that only says what it was asked for."""
    (step,) = [words for name, words in STEPS if name == "RUN" and "VARIANT" in words]
    (tmp_path / "pip").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "pip").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "VARIANT": variant}
    done = subprocess.run(["sh", "-c", step], env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == (index is not None)
    if index is None:
        assert done.stderr == "VARIANT is cpu or cuda, not tpu\n"
    else:
        assert done.stdout.split()[-2:] == ["torch", "torchvision"]
        assert ("--index-url" in done.stdout) == bool(index)
        assert index in done.stdout

"""What is handed to users: the wheel, the container's recipe, completion in the shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    for name in ["pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    modules = sorted(path.relative_to(ROOT) for path in (ROOT / "deflicker").rglob("*.py"))
    others = [Path("deflicker") / name for name in ("py.typed", "latent/own.safetensors", "latent/MODEL_CARD.md")]
    for path in [*modules, *others]:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes((ROOT / path).read_bytes())
    (source / "tests").mkdir()
    (source / "tests" / "test_x.py").touch()
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, source]
    subprocess.run(list(map(str, words)), check=True, env=os.environ | {"PIP_NO_INDEX": "1"})
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
        contents.extractall(tmp_path / "site")
    info = {name for name in names if ".dist-info/" in name}
    assert {*names} - info == {path.as_posix() for path in [*modules, *others]}
    assert any(name.endswith("LICENSE") for name in info)
    # Installed alone, over what is here: its own code is found, complete, and says its version.
    code = "import deflicker, deflicker.cli; print(deflicker.__file__); deflicker.cli.main(['--version'])"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path / "site"))


def test_the_container_is_made_of_what_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= {*ignored}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {needed["readme"], *needed["license-files"], "pyproject.toml"} <= {*copied}


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_options_are_completed() -> None:
    environment = os.environ | {
        "_DEFLICKER_COMPLETE": "complete_bash",
        "COMP_WORDS": "deflicker --skip",
        "COMP_CWORD": "1",
    }
    done = subprocess.run([sys.executable, "-m", "deflicker"], env=environment, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["--skip-existing"], "")

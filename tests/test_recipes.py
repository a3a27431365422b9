"""The recipes of docs/recipes work: a web page, and a filter between two programs."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import av
import pytest

from deflicker.cli.usage import COMMANDS
from tests.test_docs import DOCS

RECIPES = DOCS / "recipes"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.slow
def test_the_gradio_page(clip: Path, raft: None) -> None:
    pytest.importorskip("gradio")
    app = module(RECIPES / "gradio_app.py")
    target, words = app.correct(str(clip), "fast", 1.0, 0.0, progress=lambda *_, **__: None)
    assert re.fullmatch(r"Flicker of the whole picture: \d+\.\d+ → \d+\.\d+ levels of 255\.", words)
    with av.open(target) as container:
        assert len(list(container.decode(video=0))) == 12
    assert {each["label"] for each in (part.get_config() for part in app.page.input_components)} > {"Preset"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program here")
def test_a_filter_between_two_programs(clip: Path, tmp_path: Path, raft: None) -> None:
    """FFmpeg's own program writes and reads the pipe."""
    line = (
        "ffmpeg -v error -i in.mp4 -f yuv4mpegpipe - "
        f"| {sys.executable} -m deflicker - - -f yuv4mpegpipe --preset fast -q | ffmpeg -v error -i - -c:v ffv1 out.mkv"
    )
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    means = []
    for path in (clip, tmp_path / "out.mkv"):
        with av.open(path) as container:
            means.append([float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)])
    before, after = ([b - 2 * a + c for a, b, c in zip(each[1:], each[2:], each, strict=False)] for each in means)
    assert len(means[0]) == len(means[1]) == 12
    assert sum(map(abs, after)) < 0.5 * sum(map(abs, before))


def test_the_action_runs_the_program_that_there_is() -> None:
    text = (RECIPES / "deflicker.yml").read_text(encoding="utf-8")
    (line,) = re.findall(r"run: deflicker (.*)", text)
    assert line.split()[0] not in COMMANDS
    options = re.findall(r"--[a-z-]+", line)
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    assert [each for each in options if f"`{each}`" not in page] == []

"""The recipes of docs/recipes.md work: a web page, and a filter between two programs."""

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
from tests.test_docs import DOCS, ROOT

RECIPES = DOCS / "recipes"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Gradio and what it imports
def test_the_gradio_page(clip: Path, raft: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server as it is launched, asked by Gradio's own client."""
    pytest.importorskip("gradio")
    from gradio_client import Client, handle_file

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    app = module(ROOT / "integrations" / "gradio" / "app.py")
    _, address, _ = app.page.queue().launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        client = Client(address, verbose=False)
        target, words = client.predict(handle_file(str(clip)), "fast", 1.0, 0.0, api_name="/correct")
    finally:
        app.page.close(verbose=False)
    assert re.fullmatch(r"Flicker of the whole picture: \d+\.\d+ → \d+\.\d+ levels of 255\.", words)
    with av.open(target["video"] if isinstance(target, dict) else target) as container:
        assert len(list(container.decode(video=0))) == 12


PEER = """
import sys
import numpy as np
if sys.argv[1] == "write":
    sys.stdout.buffer.write(b"YUV4MPEG2 W96 H64 F24:1 Ip A1:1 C420jpeg\\n")
    chance, ground = np.random.default_rng(1), np.add.outer(np.arange(64), np.arange(96)) % 90 + 60.0
    for _ in range(12):
        luma = np.clip(ground + 8 * chance.normal(), 16, 235).astype(np.uint8)
        sys.stdout.buffer.write(b"FRAME\\n" + luma.tobytes() + bytes([128]) * (96 * 64 // 2))
else:
    assert sys.stdin.buffer.readline().startswith(b"YUV4MPEG2 W96 H64 F24:1")
    while sys.stdin.buffer.readline().startswith(b"FRAME"):
        print(np.frombuffer(sys.stdin.buffer.read(96 * 64 * 3 // 2), np.uint8)[:96 * 64].mean())
"""
"""A program that writes or reads YUV4MPEG by hand, and knows nothing of deflicker or FFmpeg."""


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_filter_between_two_programs(tmp_path: Path, raft: None) -> None:
    (tmp_path / "peer.py").write_text(PEER)
    python, means = sys.executable, []
    for between in ("", f"| {python} -m deflicker - - -f yuv4mpegpipe --preset fast --device cpu -q"):
        line = f"{python} peer.py write {between} | {python} peer.py read"
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        means.append([float(word) for word in done.stdout.split()])
    before, after = ([abs(b - 2 * a + c) for a, b, c in zip(each[1:], each[2:], each, strict=False)] for each in means)
    assert len(means[0]) == len(means[1]) == 12
    assert sum(after) < 0.2 * sum(before)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program here")
def test_a_filter_between_two_ffmpegs(clip: Path, tmp_path: Path, raft: None) -> None:
    line = (
        "ffmpeg -v error -i in.mp4 -f yuv4mpegpipe - "
        f"| {sys.executable} -m deflicker - - -f yuv4mpegpipe --preset fast -q | ffmpeg -v error -i - -c:v ffv1 out.mkv"
    )
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with av.open(tmp_path / "out.mkv") as container:
        assert len(list(container.decode(video=0))) == 12


def test_the_action_runs_the_program_that_there_is() -> None:
    text = (RECIPES / "deflicker.yml").read_text(encoding="utf-8")
    (line,) = re.findall(r"run: deflicker (.*)", text)
    assert line.split()[0] not in COMMANDS
    options = re.findall(r"--[a-z-]+", line)
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    assert [each for each in options if f"`{each}`" not in page] == []

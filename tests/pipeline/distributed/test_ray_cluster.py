"""Videos on a Ray cluster: the outputs of a run by one machine, also where a worker is killed in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest

from deflicker import Settings
from deflicker.cli import main as cli
from deflicker.pipeline.distributed.ray_cluster import _absolute
from tests.assets import make_video
from tests.pipeline.distributed.test_segments import make_film

CLUSTER = """
import sys, ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""
PAGE = (Path(__file__).parents[3] / "docs" / "shell.md").read_text(encoding="utf-8")
MANY, ONE = [line.split()[1:] for line in PAGE.splitlines() if re.match("deflicker .*--ray auto", line)]
"""The documented commands: of a folder, and of one film."""
PATIENCE_S = 900
"""After which a test gives up; nothing is measured by it."""


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    make_video(tmp_path / "a.mp4")
    with pytest.raises(SystemExit, match="2"):
        cli.main([str(tmp_path / "a.mp4"), "--suffix", "_s", "--ray", "auto"])
    assert capsys.readouterr().err.splitlines() == ["deflicker: --ray needs Ray: pip install 'video-deflicker[ray]'"]
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ray itself is not asked."""
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    make_video(tmp_path / "a.mp4")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unheard.getsockname()[1]}"
        with pytest.raises(SystemExit, match="1"):
            cli.main([str(tmp_path / "a.mp4"), "--suffix", "_s", "--ray", address])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"deflicker: no Ray cluster at {address} (")
    assert "ray start --head" in line


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of this machine with room for two workers. It lives for one test, so it has no token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # Else Ray takes 127.0.0.1 for the machine's outer address, and listens there.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # workers are all that is to run here
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'video-deflicker[ray]'")
    words = [sys.executable, "-c", CLUSTER]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        address = process.stdout.readline().strip()
        assert address.startswith("127.0.0.1:"), "no cluster could be started"
        yield address
        process.stdin.close()
        process.wait(PATIENCE_S)


def events(log: Path, name: str) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [event for line in lines if (event := json.loads(line))["event"] == name]


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it gives something."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def pictures(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
@pytest.mark.usefixtures("raft")
def test_a_worker_is_killed(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    names = [f"{number}.mp4" for number in range(3)]
    for number, name in enumerate(names):
        make_video(tmp_path / "clips" / name, frames=6, width=64, height=48, flicker=0.05 + 0.02 * number)
    (tmp_path / "clips" / "broken.mp4").write_text("This is no video.")
    # Lossless: what x264 makes of equal frames was seen to differ from run to run, on one machine too.
    options = ("--preset", "fast", "--device", "cpu", "--crf", "0")
    with pytest.raises(SystemExit, match="1"):
        cli.main(["clips", "--output-dir", "serial", *options])
    failed = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("failed"))
    log, words = tmp_path / "farm.jsonl", [cluster if word == "auto" else word for word in MANY]
    with subprocess.Popen(
        [sys.executable, "-m", "deflicker", *words, "--jobs", "2", *options],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        until(lambda: [*(tmp_path / "farmed").glob(".*.part/*.mp4")] or run.poll() is not None)  # a worker writes
        assert run.poll() is None, run.communicate()[1]
        os.kill(events(log, "worker")[0]["pid"], signal.SIGKILL)
        out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, sorted(out.splitlines())) == (1, [f"farmed/{name}" for name in names]), err
    assert "Traceback" not in err
    assert failed in err.replace(f"{tmp_path}/", "").splitlines()
    assert err.splitlines()[-1] == "videos: 3 done, 0 skipped, 1 failed"
    assert [event["state"] for event in events(log, "worker")].count("lost") == 1
    assert {event["frames"] for event in events(log, "file") if event["state"] == "done"} == {6}
    assert sorted(os.listdir(tmp_path / "farmed")) == names
    for name in names:
        assert pictures(tmp_path / "farmed" / name) == pictures(tmp_path / "serial" / name)
        assert pictures(tmp_path / "farmed" / name) != pictures(tmp_path / "clips" / name)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
@pytest.mark.usefixtures("raft")
def test_a_worker_is_killed_in_the_middle_of_a_film(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "film.mp4", 24, 26)
    options = ("--preset", "fast", "--device", "cpu", "--crf", "0")
    with pytest.raises(SystemExit, match="0"):
        cli.main(["film.mp4", "serial.mkv", *options, "-q"])
    log, words = tmp_path / "film.jsonl", [cluster if word == "auto" else word for word in ONE]
    with subprocess.Popen(
        [sys.executable, "-m", "deflicker", *words, "--jobs", "2", *options],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        until(
            lambda: [*tmp_path.glob(".*.deflicker-resume/*.frames.*.part")] or run.poll() is not None
        )  # a worker writes
        assert run.poll() is None, run.communicate()[1]
        os.kill(events(log, "worker")[0]["pid"], signal.SIGKILL)
        out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    assert [event["state"] for event in events(log, "worker")].count("lost") == 1
    assert sorted((event["first_frame"], event["frames"]) for event in events(log, "shots")) == [
        (0, 24), (24, 26),
    ]  # fmt: skip
    (result,) = events(log, "result")
    assert (result["frames"], result["shots"]) == (50, 2)
    assert sorted(os.listdir(tmp_path)) == ["film.jsonl", "film.mp4", "serial.mkv", "steady.mkv"]
    assert pictures(tmp_path / "steady.mkv") == pictures(tmp_path / "serial.mkv")
    assert pictures(tmp_path / "steady.mkv") != pictures(tmp_path / "film.mp4")


def test_files_are_named_for_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("guide.mp4", "vae.safetensors"):
        Path(name).touch()
    there = _absolute(Settings(guide=Path("guide.mp4"), autoencoder="vae.safetensors"))
    assert (there.guide, there.autoencoder) == (tmp_path / "guide.mp4", str(tmp_path / "vae.safetensors"))
    assert _absolute(Settings(autoencoder="own")).autoencoder == "own"

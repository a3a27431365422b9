"""`deflicker - OUT` and `deflicker IN -`: videos through pipes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from deflicker.cli import main as cli
from tests.assets import drifting, make_video, write_video
from tests.media.making import frames_of, payloads, times

FAST = ["--preset", "fast", "--device", "cpu"]
Piped = Callable[..., tuple[int, bytes, str]]

pytestmark = pytest.mark.usefixtures("raft")


@pytest.fixture
def piped(capfdbinary: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Piped:
    """Run the command here with these bytes on its standard input: exit code, standard output, standard error."""

    def run(*words: object, given: bytes = b"") -> tuple[int, bytes, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        with pytest.raises(SystemExit) as exit:
            cli.main([str(word) for word in words])
        assert isinstance(exit.value.code, int)
        out, err = capfdbinary.readouterr()
        return exit.value.code, out, err.decode()

    return run


def decoded(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def shaking(frames: list[Any]) -> float:
    return float(np.abs(np.diff([frame.mean() for frame in frames], 2)).mean())


def test_in_by_a_pipe(piped: Piped, clip: Path, tmp_path: Path) -> None:
    code, out, err = piped("-", "out.mp4", *FAST, given=clip.read_bytes())
    assert (code, out) == (0, b""), err
    assert "stored first" in err
    assert times(frames_of(tmp_path / "out.mp4")) == times(frames_of(clip))
    assert payloads(tmp_path / "out.mp4", "audio") == payloads(clip, "audio") != {}
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]


def test_out_by_a_pipe(piped: Piped, clip: Path) -> None:
    code, out, err = piped(clip, "-", *FAST)
    assert code == 0, err
    assert err.splitlines()[-1] == "written: -"
    with av.open(io.BytesIO(out)) as container:
        assert "matroska" in container.format.name
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    before, after = (shaking(decoded(data)) for data in (clip.read_bytes(), out))
    assert after < 0.3 * before


def test_the_format_can_be_chosen(piped: Piped, clip: Path) -> None:
    code, out, err = piped(clip, "-", "--strength", 0, "-f", "nut")
    assert (code, out[:3]) == (0, b"nut"), err
    assert len(decoded(out)) == 12


def test_a_steady_video_comes_out_of_a_pipe_as_its_own_packets(piped: Piped, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "in.mp4", drifting(20, flicker=0), sound=True)
    code, out, err = piped(clip, "-", *FAST)
    assert code == 0
    assert "source packets copied" in err
    (tmp_path / "out.mkv").write_bytes(out)
    for kind in ("video", "audio"):
        copied, own = (
            [data for _, data in next(iter(payloads(path, kind).values()))] for path in (tmp_path / "out.mkv", clip)
        )
        assert copied == own != []


def test_uncompressed_frames_lose_nothing(piped: Piped, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "in.mkv", drifting(6, flicker=0), codec="ffv1", pix_fmt="yuv422p10le")
    code, out, err = piped(clip, "-", "--strength", 0, "-f", "y4m")
    assert code == 0, err
    assert out.startswith(b"YUV4MPEG2 W96 H64 F25:1")
    (tmp_path / "out.y4m").write_bytes(out)
    before, after = frames_of(clip), frames_of(tmp_path / "out.y4m")
    assert all(
        (a == b).all() for x, y in zip(before, after, strict=True) for a, b in zip(x.planes, y.planes, strict=True)
    )


def test_raw_frames_in_and_out(piped: Piped) -> None:
    frames = [(picture * 255).astype(np.uint8) for picture in drifting(12)]
    given = b"".join(frame.tobytes() for frame in frames)
    words = ("-", "-", "--rawvideo", "96x64@24", "--pix-fmt", "rgb24", "-f", "raw", *FAST)
    code, out, err = piped(*words, given=given)
    assert code == 0, err
    steady = np.frombuffer(out, np.uint8).reshape(12, 64, 96, 3)
    assert shaking(list(steady)) < 0.3 * shaking(frames)
    assert np.abs(steady.astype(float) - frames).mean() < 20


def test_an_empty_pipe_is_one_line(piped: Piped, tmp_path: Path) -> None:
    code, out, err = piped("-", "out.mp4")
    assert (code, out, err.count("\n")) == (3, b"", 1)
    assert "the input stream is empty" in err
    assert os.listdir(tmp_path) == []


def test_a_failure_gives_a_pipe_no_video(piped: Piped, tmp_path: Path) -> None:
    code, out, err = piped(make_video(tmp_path / "in.mp4"), "-", "--start", "99", "--strength", 0)
    assert (code, out, err.count("\n")) == (2, b"", 1), err


def test_events_on_standard_output(piped: Piped, clip: Path) -> None:
    code, out, _ = piped(clip, "out.mp4", "--strength", 0, "--log-json", "-")
    assert code == 0
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert [events[0], events[-1]] == ["start", "result"]
    code, _, err = piped(clip, "-", "--log-json", "-")
    assert (code, "--log-json" in err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX pipe")
def test_a_reader_that_ends_early_ends_the_run(clip: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "deflicker", "in.mp4", "-", "-f", "y4m", "--strength", "0"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(9) == b"YUV4MPEG2"
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"deflicker: the program that reads the output has ended\n")

"""A long video through the real command: memory and open files stay as flat as after the first minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.assets import drifting

FRAMES = 10_200
HOLD = 2
"""Each picture is shown twice, as animation has it: half the flow to estimate, all the rest as ever."""
SHOT = 510
GROWTH = 1.05
"""How much more memory the last third may take than the one before, allocators being what they are."""


def long_video(path: Path, frames: int) -> Path:
    """Flickering shots of tiny pictures, with a tone beside them, written as a stream."""
    upright = [(picture * 255).astype(np.uint8) for picture in drifting(SHOT // HOLD, 64, 48)]
    fallen = [(picture * 255).astype(np.uint8).transpose(1, 0, 2) for picture in drifting(SHOT // HOLD, 48, 64)]
    scenes = upright, [255 - picture for picture in fallen]
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = out.add_stream("aac", rate=8000, layout="mono")
        for index in range(frames):
            picture = scenes[index // SHOT % 2][index % SHOT // HOLD]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            out.mux(video.encode(frame.reformat(format="yuv420p")))
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.float32), format="fltp", layout="mono")
            tone.sample_rate = 8000
            out.mux(audio.encode(tone))
        out.mux([*video.encode(), *audio.encode()])
    return path


@dataclass(frozen=True)
class Sample:
    """One look at the running process."""

    frames: int
    rss_mib: float
    handles: int
    threads: int


def look(process: int, log: Path) -> Sample | None:
    """What the process holds now; None once it is gone."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        handles = len(os.listdir(f"/proc/{process}/fd"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    lines = log.read_text().splitlines() if log.exists() else []
    done = [event["frames_done"] for line in lines[-8:] if (event := json.loads(line))["event"] == "progress"]
    if "VmRSS" not in status or not done:
        return None
    return Sample(done[-1], int(status["VmRSS"].split()[0]) / 1024, handles, int(status["Threads"]))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_ten_thousand_frames(tmp_path: Path, raft: None, capsys: pytest.CaptureFixture[str]) -> None:
    source, target, log = long_video(tmp_path / "in.mp4", FRAMES), tmp_path / "out.mp4", tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "deflicker", str(source), str(target), "--preset", "fast", "-q"]
    samples: list[Sample] = []
    with subprocess.Popen([*command, "--log-json", str(log)], stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None:
                time.sleep(1)
                samples += filter(None, [look(process.pid, log)])
        finally:
            process.kill()
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
    result = json.loads(log.read_text().splitlines()[-1])
    assert (result["event"], result["frames"], result["damage"], result["frames_diverged"]) == ("result", FRAMES, {}, 0)
    thirds = [[s for s in samples if k * FRAMES <= 3 * s.frames < (k + 1) * FRAMES] for k in range(3)]
    with capsys.disabled():
        for number, third in enumerate(thirds):
            memory = [s.rss_mib for s in third]
            counts = {s.handles for s in third}, {s.threads for s in third}
            print(f"\nthird {number + 1}: {len(third)} looks, {min(memory):.0f} to {max(memory):.0f} MiB,", end=" ")
            print(f"{sorted(counts[0])} files, {sorted(counts[1])} threads", end="")
    assert max(s.rss_mib for s in thirds[2]) < GROWTH * max(s.rss_mib for s in thirds[1])
    assert max(s.handles for s in thirds[2]) <= max(s.handles for s in thirds[1])
    assert max(s.threads for s in thirds[2]) <= max(s.threads for s in thirds[1])

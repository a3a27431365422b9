"""One command in a process of its own, which says at its end what it took.

    python scripts/bench/measure.py deflicker IN OUT [OPTIONS]      the product, as its command would run
    python scripts/bench/measure.py ffmpeg IN OUT FILTER            a filter of FFmpeg, same encoder
    python scripts/bench/measure.py peer IN OUT NAME                another method (`peers`), same encoder

The last line on stdout is JSON: seconds, peak_mb (resident), gpu_peak_mb (or null), frames (not of deflicker).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ENCODER = ("libx264", {"crf": "16", "preset": "medium"})
"""What the product writes H.264 with, so that both transcodes do the same work."""


def measure(*command: str) -> dict[str, Any]:
    """Run this file on a command and return what it says. Raises RuntimeError where the command fails."""
    done = subprocess.run(
        [sys.executable, __file__, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peak_mb() -> float:
    """Peak resident memory of this process, in units of 10⁶ bytes.

    Linux counts it for the program itself (VmHWM); elsewhere getrusage does, which may include the parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def gpu_peak_mb() -> float | None:
    """Most memory torch held on the GPU, or None where none was used. The CUDA context itself is not in it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_reserved()) / 1e6


def run_deflicker(arguments: list[str]) -> dict[str, Any]:
    from deflicker.cli.main import main

    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise
    return {}


def run_ffmpeg(source: str, target: str, name: str) -> dict[str, Any]:
    """Decode, a filter of FFmpeg with its default options, encode."""
    import av

    frames = 0
    with av.open(source) as given, av.open(target, "w") as output:
        video = given.streams.video[0]
        video.thread_type = "AUTO"
        stream = output.add_stream(ENCODER[0], rate=video.average_rate, options=ENCODER[1])
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, video.pix_fmt
        graph = av.filter.Graph()
        graph.link_nodes(graph.add_buffer(template=video), graph.add(name), graph.add("buffersink")).configure()

        def drain() -> int:
            count = 0
            while True:
                try:
                    picture = graph.vpull()
                except (BlockingIOError, EOFError):
                    return count
                picture.pict_type = 0
                output.mux(stream.encode(picture))
                count += 1

        for picture in given.decode(video):
            graph.vpush(picture)
            frames += drain()
        graph.vpush(None)
        frames += drain()
        output.mux(stream.encode())
    return {"frames": frames}


def run_peer(source: str, target: str, name: str) -> dict[str, Any]:
    """Decode all frames, a method of `peers`, encode. Imports and loading a network are not counted."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from bench import clips, motion, peers

    if name in peers.ALONG_MOTION:
        motion.network()
    started = time.perf_counter()
    frames = clips.read(Path(source))
    result = peers.PEERS[name](frames, lambda: motion.estimate(frames, motion.FLICKERING_SIDE_PX))
    clips.encode(Path(target), result, ENCODER[0], "yuv420p", ENCODER[1])
    return {"frames": len(result), "seconds": time.perf_counter() - started}


RUNS = {"deflicker": lambda *arguments: run_deflicker(list(arguments)), "ffmpeg": run_ffmpeg, "peer": run_peer}


def main() -> None:
    what, *arguments = sys.argv[1:]
    started = time.perf_counter()
    found = RUNS[what](*arguments)
    taken = {"seconds": time.perf_counter() - started, "peak_mb": peak_mb(), "gpu_peak_mb": gpu_peak_mb()}
    print(json.dumps(taken | found))


if __name__ == "__main__":
    main()

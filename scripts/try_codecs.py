"""Try every codec in every container in every pixel format that this FFmpeg writes and reads back.

python -m scripts.try_codecs [--into docs/results/codecs.md] [--only CODEC]

A clip of four tiny pictures is written with PyAV alone, goes through the product by copied packets and by encoding, and
is compared with what came in: right, or refused in one line.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from deflicker import DeflickerError, Settings, deflicker
from deflicker.core.values import TimePoint

CODECS = (
    "libx264", "libx265", "libsvtav1", "libvpx-vp9", "libvpx", "prores_ks", "dnxhd", "cfhd", "ffv1", "huffyuv",
    "ffvhuff", "utvideo", "magicyuv", "v210", "qtrle", "mjpeg", "mpeg4", "mpeg2video", "png", "gif", "rawvideo",
)  # fmt: skip
CONTAINERS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mxf", ".nut", ".gif")
SIZES = {"dnxhd": (256, 128), "cfhd": (256, 128)}
OPTIONS = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx": {"auto-alt-ref": "0"},
    "libsvtav1": {"preset": "12"},
}
PROFILES = {"yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444"}
RUNS = {
    "copied": Settings(strength=0, overwrite=True),
    "encoded": Settings(strength=0, overwrite=True, start=TimePoint(frame=0), encoder_preset=None),
}


@dataclass(frozen=True)
class Row:
    """What became of one combination."""

    codec: str
    container: str
    pix_fmt: str
    outcomes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Right, or refused in one line."""
        return not any("WRONG" in outcome for outcome in self.outcomes)


def write(path: Path, codec: str, pix_fmt: str) -> bool:
    """Four pictures; False where this FFmpeg does not write them so, or does not read them back."""
    width, height = SIZES.get(codec, (64, 64))
    options = OPTIONS.get(codec, {}) | ({"profile": PROFILES.get(pix_fmt, "dnxhr_hq")} if codec == "dnxhd" else {})
    try:
        with av.open(str(path), "w") as out:
            video: Any = out.add_stream(codec, rate=25, options=options)
            video.width, video.height, video.pix_fmt = width, height, pix_fmt
            if pix_fmt.startswith("yuva") and "vpx" in codec:
                video.metadata["alpha_mode"] = "1"
            for number in range(4):
                samples = np.full((height, width, 4), 60 + 30 * number, np.uint8)
                samples[: height // 2, :, 3] = 255
                frame = av.VideoFrame.from_ndarray(samples, format="rgba").reformat(format=pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(video.encode(frame))
            out.mux(video.encode())
        return len(times(path)) == 4
    except (av.FFmpegError, ValueError, OSError, IndexError):
        return False


def times(path: Path) -> list[Fraction]:
    """When each picture is shown, from the first on."""
    with av.open(str(path)) as container:
        found = [(frame.pts or 0) * Fraction(frame.time_base) for frame in container.decode(video=0)]
    return [when - found[0] for when in found]


def outcome(source: Path, target: Path, how: Settings) -> str:
    """What one run came to, in words."""
    try:
        report = deflicker(source, target, how)
    except DeflickerError as error:
        return f"refused: {' '.join(str(error).replace(str(source.parent), '').split())}"
    except Exception as error:
        return f"WRONG: {type(error).__name__}"
    try:
        before, after = times(source), times(target)
    except (av.FFmpegError, IndexError):
        return "WRONG: cannot be read back"
    close = len(before) == len(after) and all(
        abs(a - b) <= Fraction(1, 100) for a, b in zip(before, after, strict=True)
    )
    with av.open(str(target)) as container:
        pix_fmt = container.streams.video[0].codec_context.pix_fmt
    return f"{report.codec}, {pix_fmt}" if close else f"WRONG: {len(before)} pictures became {len(after)}"


def rows(only: str) -> Iterator[Row]:
    """Every combination that can be written and read back."""
    with tempfile.TemporaryDirectory() as folder:
        for codec, container in itertools.product(CODECS, CONTAINERS):
            if only and only != codec:
                continue
            for each in av.Codec(codec, "w").video_formats or ():
                if each.name.startswith("yuvj") and codec != "mjpeg":
                    continue
                source = Path(folder) / f"in{container}"
                source.unlink(missing_ok=True)
                if write(source, codec, each.name):
                    target = Path(folder) / f"out{container}"
                    done = tuple(outcome(source, target, how) for how in RUNS.values())
                    yield Row(codec, container, each.name, done)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path)
    parser.add_argument("--only", default="", help="one codec")
    options = parser.parse_args()
    found = list(rows(options.only))
    sound = sum(row.sound for row in found)
    made = f"`python -m scripts.try_codecs` with PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    lines = [
        "# Codecs, containers and pixel formats",
        "",
        f"Made by {made}: {len(found)} combinations that it writes and reads back; {sound} of them right or refused.",
        "",
        f"| codec | container | pixel format | {' | '.join(RUNS)} |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {row.codec} | {row.container} | {row.pix_fmt} | {' | '.join(row.outcomes)} |" for row in found),
    ]
    text = "\n".join(lines) + "\n"
    if options.into:
        options.into.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0 if all(row.sound for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Try every codec in every container in every pixel format that this FFmpeg writes and reads back.

python -m scripts.try_codecs [--into docs/results/codecs.md] [--only CODEC]

A clip of four tiny pictures, written with PyAV alone, goes through the product twice: as a packet copy and encoded.
The output must have as many pictures at the same times. Copies and lossless encodings must decode to the same samples,
lossy ones to similar ones. Anything else must be refused in one line.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import os
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
LOSSLESS = ("ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "v210", "qtrle", "png", "rawvideo")
RUNS = {
    "copied": Settings(strength=0, overwrite=True),
    "encoded": Settings(strength=0, overwrite=True, start=TimePoint(frame=0)),
}
LARGEST_ERROR = 6
"""`visible_error` that a lossy encoding of this clip may have."""


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
                ramp = np.linspace(0, 60, width)[None, :, None]
                samples = np.broadcast_to(60 + 30 * number + ramp, (height, width, 4)).astype(np.uint8)
                samples[: height // 2, :, 3] = 255
                frame = av.VideoFrame.from_ndarray(samples, format="rgba").reformat(format=pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                out.mux(video.encode(frame))
            out.mux(video.encode())
        return len(pictures(path)) == 4
    except (av.FFmpegError, ValueError, OSError, IndexError):
        return False


@dataclass(frozen=True)
class Picture:
    """One decoded picture."""

    time: Fraction
    """Seconds after the first one."""
    pix_fmt: str
    digest: str
    rgba: Any


def pictures(path: Path) -> list[Picture]:
    """Every picture of a file, decoded with PyAV alone."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    start = (decoded[0].pts or 0) * Fraction(decoded[0].time_base)
    return [
        Picture(
            (frame.pts or 0) * Fraction(frame.time_base) - start,
            frame.format.name,
            digest(frame),
            frame.to_ndarray(format="rgba").astype(int),
        )
        for frame in decoded
    ]


def digest(frame: av.VideoFrame) -> str:
    """A hash of the samples; through 16-bit R'G'B'A where NumPy has no view of the pixel format."""
    try:
        samples = frame.to_ndarray(format=frame.format.name)
    except ValueError:
        samples = frame.to_ndarray(format="rgba64le")
    parts = samples if isinstance(samples, tuple) else (samples,)  # pal8: indices and the palette
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def visible_error(before: Any, after: Any) -> float:
    """Mean absolute difference of R'G'B', in 8-bit steps, of areas of 16 x 16 opaque pixels: dither is not an error."""
    apart = np.where(before[..., 3:] == 255, before - after, 0)[..., :3]
    height, width = (side // 16 * 16 for side in apart.shape[:2])
    areas = apart[:height, :width].reshape(height // 16, 16, width // 16, 16, 3).mean((1, 3))
    return float(abs(areas).mean())


def outcome(source: Path, target: Path, how: Settings) -> str:
    """The result of one run, in words."""
    try:
        report = deflicker(source, target, how)
    except DeflickerError as error:
        return f"refused: {' '.join(str(error).replace(str(source.parent), '').split())}"
    except Exception as error:
        return f"WRONG: {type(error).__name__}"
    try:
        before, after = pictures(source), pictures(target)
    except (av.FFmpegError, IndexError, ValueError):
        return "WRONG: cannot be read back"
    if len(before) != len(after):
        return f"WRONG: {len(before)} pictures became {len(after)}"
    if any(abs(a.time - b.time) > Fraction(1, 100) for a, b in zip(before, after, strict=True)):
        return f"WRONG: times {', '.join(f'{float(each.time):g}' for each in after)}"
    result = f"{report.codec}, {after[0].pix_fmt}"
    if all(a.digest == b.digest for a, b in zip(before, after, strict=True)):
        return f"{result}, identical"
    same_format = before[0].pix_fmt == after[0].pix_fmt
    if report.codec == "copy" or (report.codec in LOSSLESS and same_format):
        return f"WRONG: {result}: other samples"
    error = max(visible_error(a.rgba, b.rgba) for a, b in zip(before, after, strict=True))
    return result if error <= LARGEST_ERROR else f"WRONG: {result}: differs by {error:.1f}"


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
    os.environ.setdefault("SVT_LOG", "0")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path)
    parser.add_argument("--only", default="", help="one codec")
    options = parser.parse_args()
    found = list(rows(options.only))
    sound = sum(row.sound for row in found)
    versions = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    made = f"`python -m scripts.try_codecs` on {datetime.date.today()}, {versions}"
    lines = [
        "# Codecs, containers and pixel formats",
        "",
        f"Made by {made}: {len(found)} combinations that FFmpeg writes and reads back; {sound} right or refused.",
        "",
        "*copied*: nothing was corrected, so packets are copied where possible. *encoded*: every picture was encoded.",
        "*identical*: every decoded sample is the source's.",
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

"""Clips as tensors: cut, made small and rounded to 8 bits; written and read back without loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from deflicker.media.color import proxy_of
from deflicker.media.reader import Reader

SAMPLES = Path(__file__).parents[2] / "samples"
SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".webp", ".y4m"}
START_PART = 0.25
"""Where a cut starts, as a part of the frames it leaves out."""
RATE = 24
"""Frames a second of everything written here; nothing that is measured depends on it."""
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Clip:
    """A cut of a video."""

    name: str
    frames: Tensor
    """`[T, 3, H, W]` R'G'B' in [0, 1], multiples of 1/255."""
    start: int
    """Number of its first frame in the video."""
    of: int
    """Frames in the video."""


def clean_clips(folders: Iterable[Path]) -> list[Path]:
    """Every video in the folders; without folders, the project's own clean samples."""
    folders = list(folders)
    if not folders:
        return sorted(SAMPLES.glob("*_clean.mp4"))
    return [path for folder in folders for path in videos(folder)]


def videos(path: Path) -> list[Path]:
    """A file, or the videos of a folder."""
    if path.is_file():
        return [path]
    return sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)


def load(path: Path, frames: int, width: int) -> Clip:
    """Cut `frames` frames out of a video, at most `width` wide (never enlarged), both sides even, means over areas."""
    with Reader(path) as reader:
        of = sum(1 for _ in reader.frames())
    start = int(START_PART * max(0, of - frames))
    with Reader(path) as reader:
        shrink = min(1.0, width / reader.info.width)
        size = even(reader.info.height * shrink), even(reader.info.width * shrink)
        kept = islice(reader.frames(), start, start + frames)
        pictures = [proxy_of(frame, reader.info.layout, size, CPU) for frame in kept]
    return Clip(path.stem, to_8_bits(torch.stack(pictures)), start, of)


def even(side: float) -> int:
    """The nearest even number of pixels, at least 2."""
    return max(2, round(side / 2) * 2)


def to_8_bits(frames: Tensor) -> Tensor:
    """Round R'G'B' to multiples of 1/255."""
    return (frames.clamp(0, 1) * 255).round() / 255


def write(path: Path, frames: Tensor) -> None:
    """Write `[T, 3, H, W]` as FFV1 in 8-bit R'G'B'. (FFV1 has no 8-bit planar RGB; `bgr0` holds the same samples.)"""
    encode(path, frames, "ffv1", "bgr0", {})


def through_h264(path: Path, frames: Tensor) -> Tensor:
    """What a viewer decodes after H.264 at crf 20 in 4:2:0, rounded to 8 bits; `path` is written on the way."""
    encode(path, frames, "libx264", "yuv420p", {"crf": "20"})
    return to_8_bits(read(path))


def read(path: Path) -> Tensor:
    """Every frame of a video, `[T, 3, H, W]` R'G'B' in [0, 1]."""
    with Reader(path) as reader:
        size = reader.info.height, reader.info.width
        pictures = [proxy_of(frame, reader.info.layout, size, CPU) for frame in reader.frames()]
    return torch.stack(pictures)


def pictures(frames: Tensor) -> Iterator[av.VideoFrame]:
    """PyAV frames in rgb24, numbered."""
    for number, frame in enumerate(frames):
        pixels = (frame * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        picture.pts, picture.time_base = number, Fraction(1, RATE)
        yield picture


def through_untagged(path: Path, frames: Tensor) -> Tensor:
    """What a viewer decodes of 4:2:0 without colour tags, rounded to 8 bits; `path` is written on the way (FFV1)."""
    encode(path, frames, "ffv1", "yuv420p", {}, tagged=False)
    return to_8_bits(read(path))


def encode(
    path: Path, frames: Tensor, codec: str, pix_fmt: str, options: dict[str, str], *, tagged: bool = True
) -> None:
    """Write `[T, 3, H, W]` R'G'B' with an encoder; YUV is BT.709, limited range, and says so unless not `tagged`."""
    with av.open(path, "w") as output:
        stream = output.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = pix_fmt
        is_yuv = pix_fmt.startswith("yuv")
        if is_yuv and tagged:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
            context.color_range = 1  # limited
        for picture in pictures(frames):
            matrix = {"src_color_range": "JPEG", "dst_colorspace": "ITU709", "dst_color_range": "MPEG"}
            converted = picture.reformat(format=pix_fmt, **(matrix if is_yuv else {}))
            output.mux(stream.encode(converted))
        output.mux(stream.encode())

"""Videos for tests: the samples, and small ones made on the spot."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "samples"


def drifting(frames: int, width: int = 96, height: int = 64, *, flicker: float = 0.08) -> list[Any]:
    """A drifting pattern whose brightness jumps: `[H, W, 3]` in [0, 1]."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + 1.5 * index) / 7) + np.sin((y + x / 3) / 5) for index in range(frames)]
    pulse = np.exp(flicker * random.standard_normal(frames))
    return [
        np.clip((0.45 + 0.12 * wave[..., None] * [1, 0.8, 0.6]) * gain, 0, 1)
        for wave, gain in zip(waves, pulse, strict=True)
    ]


def sample_frames(name: str, frames: int, width: int = 128, height: int = 72) -> list[Any]:
    """The first frames of a sample, scaled down: `[H, W, 3]` in [0, 1]."""
    with av.open(SAMPLES / name) as container:
        decoded = itertools.islice(container.decode(video=0), frames)
        images = [frame.to_image().resize((width, height), Image.Resampling.BOX) for frame in decoded]
    return [np.asarray(image) / 255 for image in images]


def make_video(
    path: Path, *, frames: int = 12, width: int = 96, height: int = 64, flicker: float = 0.08, sound: bool = True
) -> Path:
    """A drifting pattern whose brightness jumps, H.264 with a tone beside it."""
    return write_video(path, drifting(frames, width, height, flicker=flicker), sound=sound)


def write_video(
    path: Path,
    pictures: Iterable[Any],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: bool = False,
) -> Path:
    """Pictures `[H, W, 3]` in [0, 1] as a video of 25 frames a second, with or without a tone beside it."""
    pictures = list(pictures)
    height, width, _ = pictures[0].shape
    options = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
    with av.open(path, "w") as output:
        video = output.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        audio = output.add_stream("aac", rate=44100, layout="mono") if sound else None
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray((picture * 65535).astype(np.uint16), format="rgb48le")
            output.mux(video.encode(frame.reformat(format=pix_fmt)))
        output.mux(video.encode())
        if audio:
            output.mux([*audio.encode(make_tone(len(pictures) / 25)), *audio.encode()])
    return path


def make_tone(seconds: float) -> av.AudioFrame:
    wave = 0.1 * np.sin(np.arange(int(seconds * 44100)) / 20)
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = 44100
    return frame


def make_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(path, "w") as output:
        stream = output.add_stream("aac", rate=44100, layout="mono")
        output.mux([*stream.encode(make_tone(0.5)), *stream.encode()])
    return path

"""Videos for tests: the samples, and small ones made on the spot."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

SAMPLES = Path(__file__).parent.parent / "samples"


def make_video(
    path: Path, *, frames: int = 12, width: int = 96, height: int = 64, flicker: float = 0.08, sound: bool = True
) -> Path:
    """A drifting pattern whose brightness jumps, H.264 with a tone beside it."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    with av.open(path, "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = output.add_stream("aac", rate=44100, layout="mono") if sound else None
        for index in range(frames):
            waves = np.sin((x + 1.5 * index) / 7) + np.sin((y + x / 3) / 5)
            picture = (0.45 + 0.12 * waves[..., None] * [1, 0.8, 0.6]) * np.exp(flicker * random.standard_normal())
            pixels = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
            output.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(video.encode())
        if audio:
            output.mux([*audio.encode(make_tone(frames / 25)), *audio.encode()])
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

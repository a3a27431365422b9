"""Videos of any size and length made from nothing: a moving texture whose brightness pumps."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

RATE = 24


def write(path: Path, width: int, height: int, frames: int, seed: int = 5, rate: int = RATE) -> None:
    """H.264, 4:2:0, `rate` frames a second. Each frame is a window of one wide texture, which is cheap."""
    random = np.random.default_rng(seed)
    reach = 2 * 96
    texture = _texture(random, height + reach, width + reach)
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"crf": "20", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            x = round(96 + 90 * np.sin(number / 40))
            y = round(96 + 60 * np.cos(number / 55))
            window = texture[y : y + height, x : x + width]
            gain = np.exp(0.1 * random.standard_normal())
            pixels = np.minimum(window * np.float32(gain), 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode())


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth blobs of several sizes in colour, `[H, W, 3]` float32, 20 … 200."""
    total = np.zeros((height, width, 3), np.float32)
    for cell, weight in ((64, 1.0), (16, 0.6), (4, 0.3)):
        grid = random.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        y, x = np.arange(height) / cell, np.arange(width) / cell
        yi, xi = y.astype(int), x.astype(int)
        fy, fx = (y - yi)[:, None, None].astype(np.float32), (x - xi)[None, :, None].astype(np.float32)
        upper = grid[yi][:, xi] * (1 - fx) + grid[yi][:, xi + 1] * fx
        lower = grid[yi + 1][:, xi] * (1 - fx) + grid[yi + 1][:, xi + 1] * fx
        total += weight * (upper * (1 - fy) + lower * fy)
    return np.clip(110 + 35 * total, 20, 200)

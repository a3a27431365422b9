"""Small real files with awkward properties, made with PyAV; and what a file holds, read without our own code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deflicker.core.options import EncodeOptions, ReadOptions
from deflicker.media.frame import Frame, Plane
from deflicker.media.reader import Reader
from deflicker.media.writer import Writer

CLIPS = Path(__file__).parents[3] / "shared" / "clips"
FAST = EncodeOptions(encoder_preset="ultrafast")


def clip(name: str) -> Path:
    """A real clip by `folder/name`, or the test is skipped."""
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"the clip {name} is not here; see the clips' own README")
    return path


def clips() -> list[str]:
    """Every clip there is, as `folder/name`."""
    return sorted(str(p.relative_to(CLIPS)) for p in CLIPS.glob("*/*") if p.is_file())


def picture(index: int, pix_fmt: str = "yuv420p", width: int = 64, height: int = 48) -> av.VideoFrame:
    """A picture that tells its index: gray of 20 + 8 · index (modulo 200) with a ramp."""
    ramp = np.linspace(0, 30, width)[None, :, None]
    rgb = np.broadcast_to(20 + (8 * index) % 200 + ramp, (height, width, 3)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)


def tone_packets(stream: Any, seconds: float, start: Fraction = Fraction(0)) -> list[av.Packet[Any]]:
    """A tone encoded for an audio stream."""
    rate = stream.codec_context.sample_rate
    samples = np.sin(np.arange(round(seconds * rate)) / 20).astype(np.float32)[None]
    channels = len(stream.codec_context.layout.channels)
    sound = av.AudioFrame.from_ndarray(
        np.repeat(samples, channels, 0), format="fltp", layout=stream.codec_context.layout.name
    )
    sound.sample_rate, sound.pts, sound.time_base = rate, round(start * rate), Fraction(1, rate)
    resampler = av.AudioResampler(
        stream.codec_context.format, stream.codec_context.layout, rate, stream.codec_context.frame_size or None
    )
    made = []
    for piece in [*resampler.resample(sound), *resampler.resample(None), None]:
        made += stream.encode(piece)
    return made


def make(
    path: Path,
    *,
    pts: Sequence[int] = range(10),
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    options: dict[str, str] | None = None,
    audio: Sequence[str] = (),
    audio_start: Fraction = Fraction(0),
    audio_seconds: float | None = None,
    subtitles: Sequence[tuple[str, Sequence[tuple[int, int, bytes]]]] = (),
    attachment: bytes = b"",
    chapters: Sequence[tuple[int, int, str]] = (),
    metadata: dict[str, str] | None = None,
    rotation: int = 0,
    sample_aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    timecode: str = "",
) -> Path:
    """A video with a picture at each of `pts`; subtitles as (codec, [(start_ms, length_ms, payload)])."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=Fraction(25), options=options or _fast(codec))
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        video.codec_context.time_base = time_base
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        if sample_aspect:
            video.codec_context.sample_aspect_ratio = sample_aspect
        if timecode:
            video.metadata["timecode"] = timecode
        if rotation:
            video.set_display_rotation(rotation)
        sounds: list[Any] = [out.add_stream(name, rate=48000, layout="stereo") for name in audio]
        texts = [out.add_mux_stream(name) for name, _ in subtitles]
        for number, stream in enumerate([*sounds, *texts]):
            stream.metadata["language"] = ("deu", "fra", "jpn", "ita")[number]
        for text in texts:
            text.time_base = Fraction(1, 1000)
        if attachment:
            out.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        if chapters:
            out.set_chapters(
                [
                    {"id": i, "start": s, "end": e, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                    for i, (s, e, title) in enumerate(chapters)
                ]
            )
        out.metadata.update(metadata or {})
        for index, each in enumerate(pts):
            frame = picture(index, pix_fmt, *size)
            frame.pts, frame.time_base = each, time_base
            out.mux(video.encode(frame))
        out.mux(video.encode())
        seconds = audio_seconds or float((max(pts) - min(pts) + 1) * time_base)
        for sound in sounds:
            out.mux(tone_packets(sound, seconds, audio_start))
        for text, (_, lines) in zip(texts, subtitles, strict=True):
            for start, length, payload in lines:
                packet: Any = av.Packet(payload)
                packet.time_base, packet.stream = Fraction(1, 1000), text
                packet.pts = packet.dts = start
                packet.duration = length
                out.mux(packet)
    return path


def _fast(codec: str) -> dict[str, str]:
    return {"preset": "ultrafast", "crf": "20"} if codec in ("libx264", "libx265") else {}


def transcode(
    source: Path, target: Path, options: EncodeOptions = FAST, **cut: Any
) -> tuple[list[Frame], Writer, Reader]:
    """Read and write unchanged; the frames as read, and both ends for their notes."""
    with Reader(source, ReadOptions(**cut)) as reader, Writer(target, reader.info, options) as writer:
        frames = []
        for frame in reader.frames(writer.copy):
            writer.write(frame)
            frames.append(frame)
    return frames, writer, reader


def frames_of(path: Path) -> list[Frame]:
    """Every frame of a file."""
    with Reader(path) as reader:
        return list(reader.frames())


def times(frames: Iterable[Frame]) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    return [frame.pts * frame.time_base for frame in frames]


def same_planes(a: tuple[Plane, ...], b: tuple[Plane, ...]) -> bool:
    """Equal in number, type, shape and every sample."""
    return len(a) == len(b) and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def payloads(path: Path, kind: str) -> dict[int, list[tuple[Fraction | None, bytes]]]:
    """(time in seconds, bytes) of every packet of each stream of a kind, straight from the demuxer."""
    found: dict[int, list[tuple[Fraction | None, bytes]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type == kind and packet.size:
                when = None if packet.pts is None else packet.pts * packet.time_base
                found.setdefault(packet.stream_index, []).append((when, bytes(packet)))
    return found

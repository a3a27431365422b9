"""What a file holds, read with PyAV alone: none of the product's own code, so that it can contradict it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

_MATRIX, _MASTERING, _LIGHT = "DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"


@dataclass(frozen=True)
class Packet:
    """One packet: times in seconds, and a hash of what it holds."""

    pts: Fraction | None
    duration: Fraction
    digest: str
    hidden: bool
    """An edit list says that it is not shown."""


@dataclass(frozen=True)
class Stream:
    """One stream with all its packets."""

    kind: str
    """video, audio, subtitle, data, attachment or cover."""
    codec: str
    language: str
    title: str
    packets: tuple[Packet, ...]

    @property
    def end(self) -> Fraction:
        """Where the last packet that is shown ends."""
        shown = [p for p in self.packets if p.pts is not None and not p.hidden]
        return max((p.pts + p.duration for p in shown if p.pts is not None), default=Fraction(0))

    @property
    def times(self) -> list[Fraction]:
        """When each packet that is shown begins, in order."""
        return sorted(p.pts for p in self.packets if p.pts is not None and not p.hidden)


@dataclass(frozen=True)
class Picture:
    """The video stream's first picture that decodes, and how many do."""

    frames: int
    size: tuple[int, int]
    pix_fmt: str
    depth: int
    transparent: bool
    aspect: Fraction
    """Of one pixel; 1 where the file says nothing."""
    matrix: tuple[int, ...] | None
    """Display matrix; None for upright."""
    tags: tuple[int, int, int, int]
    """Primaries, transfer, matrix, range: FFmpeg's numbers."""
    interlaced: bool
    hdr: tuple[tuple[float, ...], tuple[int, ...]]
    """Mastering display and light level, empty where there are none."""


@dataclass(frozen=True)
class Facts:
    """What one file holds."""

    container: str
    streams: tuple[Stream, ...]
    video: int | None
    """Place of the video stream among `streams`: the first that is no cover."""
    picture: Picture | None
    """None where nothing decodes."""
    chapters: tuple[tuple[Fraction, Fraction, str], ...]
    tags: dict[str, str]
    length: Fraction | None = None
    """What MP4's movie header says it lasts. Its packets know the time to the next one decoded, not shown."""

    @property
    def end(self) -> Fraction:
        """Where the video ends."""
        return self.length or (Fraction(0) if self.video is None else self.streams[self.video].end)

    @property
    def others(self) -> list[Stream]:
        """Every stream but the video."""
        return [stream for place, stream in enumerate(self.streams) if place != self.video]


def facts_of(path: Path) -> Facts:
    """Read a whole file. Raises av.FFmpegError where it does not open."""
    if path.suffix == ".webp" and (animation := _animation(path)):
        return animation
    with av.open(str(path), metadata_errors="replace") as container:
        streams = list(container.streams)
        found: dict[int, list[Packet]] = {stream.index: [] for stream in streams}
        for packet in _packets(container):
            if packet.size:
                found[packet.stream_index].append(_packet(packet))
        described = tuple(_describe(stream, found[stream.index]) for stream in streams)
        video = next((place for place, stream in enumerate(described) if stream.kind == "video"), None)
        chapters = tuple(
            (c["start"] * Fraction(c["time_base"]), c["end"] * Fraction(c["time_base"]), c["metadata"].get("title", ""))
            for c in (dict(each) for each in container.chapters())
        )
        tags = {key.lower(): value for key, value in container.metadata.items()}
        name = container.format.name
    picture = None if video is None else _picture(path, video)
    length = _movie_length(path.read_bytes()) if "mp4" in name else None
    return Facts(name, described, video, picture, chapters, tags, length)


def _movie_length(data: bytes) -> Fraction | None:
    """How long MP4's first video track is shown: `tkhd` over the time scale of `mvhd` (ISO/IEC 14496-12, 8.2 and 8.3).

    None where there is none, or where fragments follow, which it does not count.
    """
    scale, length = 0, 0
    for name, body in _boxes(data):
        if name == b"mvhd":
            scale = struct.unpack_from(">20xI" if body[0] else ">12xI", body)[0]
        elif name == b"tkhd" and not length:
            length = struct.unpack_from(">28xQ" if body[0] else ">20xI", body)[0]
            length = 0 if not any(body[-8:]) else length  # sound has no width and height
    return Fraction(length, scale) if scale and length and b"moof" not in data else None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of every box that `moov` and its tracks hold."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        head = 16 if size == 1 else 8
        size = struct.unpack_from(">Q", data, at + 8)[0] if size == 1 else size
        if size < head:
            return
        body = data[at + head : at + size]
        if name in (b"moov", b"trak"):
            yield from _boxes(body)
        else:
            yield name, body
        at += size


def _animation(path: Path) -> Facts | None:
    """An animated WebP, which FFmpeg does not decode, as Pillow sees it."""
    from PIL import Image

    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames == 1:
            return None
        packets, transparent, now = [], False, Fraction(0)
        for number in range(frames):
            image.seek(number)
            transparent = transparent or image.convert("RGBA").getextrema()[3][0] < 255  # type: ignore[index, operator]
            length = Fraction(image.info["duration"], 1000)
            packets.append(Packet(now, length, "", False))
            now += length
        video = Stream("video", "webp", "", "", tuple(packets))
        upright = (1, None, (2, 2, 2, 0), False, ((), ()))
        words = (text.partition(":") for text in image.getexif().values() if isinstance(text, str))
        picture = Picture(frames, image.size, "rgba", 8, transparent, *upright)  # type: ignore[arg-type]
        return Facts("webp", (video,), 0, picture, (), {name: text for name, _, text in words})


def _packets(container: Any) -> Iterator[Any]:
    for _ in range(100):
        try:
            yield from container.demux()
            return
        except av.FFmpegError:
            continue


def _packet(packet: Any) -> Packet:
    base = Fraction(packet.time_base.numerator, packet.time_base.denominator)
    pts = None if packet.pts is None else packet.pts * base
    return Packet(pts, (packet.duration or 0) * base, hashlib.sha256(bytes(packet)).hexdigest(), packet.is_discard)


def _describe(stream: Any, packets: list[Packet]) -> Stream:
    covers = stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    language = "" if tags.get("language") == "und" else tags.get("language", "")
    kind = "cover" if covers else stream.type
    return Stream(kind, codec, language, tags.get("title", ""), tuple(packets))


def _picture(path: Path, index: int) -> Picture | None:
    first: Any = None
    frames, transparent = 0, False
    with av.open(str(path), metadata_errors="replace") as container:
        stream: Any = container.streams[index]
        if stream.codec_context is None:
            return None
        for frame in _frames(container, stream):
            first = first or frame
            frames += 1
            transparent = transparent or _is_transparent(frame)
        if first is None:
            return None
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1
        context = stream.codec_context
        names = ("color_primaries", "color_trc", "colorspace", "color_range")
        tags = tuple(int(getattr(first, name)) or int(getattr(context, name)) for name in names)
        matrix, hdr = _side_data(first)
        return Picture(
            frames, (first.width, first.height), first.format.name, first.format.components[0].bits,
            transparent, Fraction(aspect) if aspect > 0 else Fraction(1), matrix, tags, first.interlaced_frame, hdr,
        )  # type: ignore[arg-type]  # fmt: skip


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Every picture that decodes; VP8 and VP9 with alpha through libvpx, which alone knows it."""
    decoder = stream.codec_context
    alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if alpha and decoder.name in ("vp8", "vp9"):
        decoder = av.CodecContext.create("libvpx" if decoder.name == "vp8" else "libvpx-vp9", "r")
    for packet in [*_of(container, stream.index), *[None] * 8]:
        try:
            yield from decoder.decode(packet if packet is None or packet.size else None)
        except av.error.EOFError:
            return
        except (av.FFmpegError, ValueError):
            continue


def _of(container: Any, index: int) -> Iterator[Any]:
    for packet in _packets(container):
        if packet.stream_index == index and packet.size:
            yield packet


def _is_transparent(frame: Any) -> bool:
    if not any(part.is_alpha for part in frame.format.components) and not frame.format.has_palette:
        return False
    return bool((frame.reformat(format="rgba").to_ndarray()[..., 3] < 255).any())


def _side_data(frame: Any) -> tuple[tuple[int, ...] | None, tuple[tuple[float, ...], tuple[int, ...]]]:
    matrix, display, light = None, (), ()
    for side in frame.side_data:
        data = bytes(side)
        if side.type.name == _MATRIX:
            matrix = struct.unpack("=9i", data[:36])
        elif side.type.name == _MASTERING:
            numbers = struct.unpack("=20i", data[:80])
            display = tuple(round(n / (d or 1), 4) for n, d in zip(numbers[::2], numbers[1::2], strict=True))
        elif side.type.name == _LIGHT:
            light = struct.unpack("=2I", data[:8])
    upright = matrix is None or matrix == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    return (None if upright else matrix), (display, light)  # type: ignore[return-value]

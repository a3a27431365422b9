"""Odd files made on the spot, by name: what cameras, recorders, phones, generators and broken copies leave behind."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests.media.making import make, picture

MS = Fraction(1, 1000)
_JPEG = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}


def remade(path: Path, pts: Iterable[int], *, rate: int = 25, time_base: Fraction = MS) -> Path:
    """A video without reordered pictures whose packets get these times, as broken muxers write them."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = time_base
        packets = []
        times = list(pts)
        for index in range(len(times)):
            frame = picture(index)
            frame.pts, frame.time_base = 10 * index, time_base
            packets += video.encode(frame)
        packets += video.encode()
        for number, (packet, when) in enumerate(zip(packets, times, strict=True)):
            packet.pts, packet.dts = when, min([*times[number:], number])
            packet.dts = max(packet.dts, -1000 + number)
            packet.dts = min(packet.dts, packet.pts)
            out.mux(packet)
    return path


def backwards(path: Path) -> Path:
    """Time stamps of which some lie before the one before."""
    return remade(path, [0, 40, 80, 70, 120, 160, 150, 200, 240, 280])


def thousand_fps(path: Path) -> Path:
    """Thirty frames a second that say they are a thousand."""
    return remade(path, [33 * n for n in range(12)], rate=1000)


def lying_avi(path: Path) -> Path:
    """An AVI whose header promises ten thousand frames."""
    data = bytearray(make(path, codec="mpeg4", pts=range(12)).read_bytes())
    at = data.index(b"avih") + 8 + 16
    data[at : at + 4] = struct.pack("<I", 10_000)
    path.write_bytes(data)
    return path


def lying_matroska(path: Path) -> Path:
    """A Matroska file that says it lasts an hour."""
    data = bytearray(make(path, pts=range(12)).read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 3_600_000.0)
    path.write_bytes(data)
    return path


def _write_ten(out: Any, video: Any) -> None:
    """Ten pictures, 25 a second."""
    for index in range(10):
        frame = picture(index)
        frame.pts, frame.time_base = index, Fraction(1, 25)
        out.mux(video.encode(frame))
    out.mux(video.encode())


def cover_art(path: Path) -> Path:
    """A cover before the video, as music shops and downloaders add it."""
    with av.open(str(path), "w") as out:
        cover: Any = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        out.mux([*cover.encode(picture(9, "yuvj420p", 32, 32)), *cover.encode()])
        _write_ten(out, video)
    return path


def two_covers(path: Path) -> Path:
    """A Matroska file with two pictures and a font attached."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        for name, colour in (("cover.jpg", 40), ("back.jpg", 200)):
            jpeg = io.BytesIO()
            Image.fromarray(np.full((32, 32, 3), colour, np.uint8)).save(jpeg, "JPEG")
            out.add_attachment(name, "image/jpeg", jpeg.getvalue())
        out.add_attachment("a.ttf", "application/x-truetype-font", b"font")
        _write_ten(out, video)
    return path


def two_videos(path: Path) -> Path:
    """Two video streams of different sizes, as multi-angle recordings have."""
    with av.open(str(path), "w") as out:
        streams: list[Any] = []
        for width, height in ((64, 48), (96, 64)):
            video: Any = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            video.codec_context.time_base = Fraction(1, 25)
            streams.append(video)
        for index in range(10):
            for video in streams:
                frame = picture(index, "yuv420p", video.width, video.height)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(video.encode(frame))
        for video in streams:
            out.mux(video.encode())
    return path


def growing(path: Path) -> Path:
    """A broadcast whose pictures change their size in the middle."""
    parts = [
        make(path.with_name(f"{n}.ts"), codec="mpeg2video", size=s, options={"bf": "0"})
        for n, s in enumerate([(64, 48), (96, 80)])
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path


def uneven_gif(path: Path) -> Path:
    """A GIF with delays of 20 to 1000 ms."""
    frames = [Image.fromarray(np.full((24, 32, 3), 40 + 30 * n, np.uint8)) for n in range(6)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 70, 1000, 20, 30, 500])
    return path


def uneven_webp(path: Path) -> Path:
    """An animated WebP with delays of 1 to 500 ms."""
    frames = [Image.fromarray(np.full((24, 32, 3), 40 + 30 * n, np.uint8)) for n in range(6)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 70, 1, 500, 33, 40], lossless=True)
    return path


def interlaced(path: Path) -> Path:
    """Two fields woven into each picture."""
    return make(path, size=(64, 64), options={"preset": "ultrafast", "x264-params": "tff=1"})


def subtitles(path: Path) -> Path:
    """Two languages of sound and two of words, chapters, tags."""
    kind, data = ("mov_text", b"\0\5hello") if path.suffix == ".mp4" else ("subrip", b"hello")
    lines = [(0, 200, data), (250, 100, data)]
    return make(
        path, pts=range(25), audio=["aac", "aac"], subtitles=[(kind, lines), (kind, lines)],
        chapters=[(0, 500, "one"), (500, 1000, "two")], metadata={"title": "A day", "comment": "by the sea"},
    )  # fmt: skip


HDR10 = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
HLG = HDR10 | {"color_trc": 18}
_MASTER = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:"
    "log-level=none"
)

MAKERS: dict[str, Callable[[Path], Path]] = {
    "negative times.mp4": lambda path: make(path, pts=range(-5, 10)),
    "negative times.mkv": lambda path: make(path, pts=range(-5, 10)),
    "start offset.mp4": lambda path: make(path, pts=range(50, 70), audio=["aac"], audio_start=Fraction(1)),
    "start offset.mkv": lambda path: make(path, pts=range(50, 70), audio=["aac"], audio_start=Fraction(1)),
    "sound comes later.mov": lambda path: make(path, pts=range(20), audio=["aac"], audio_start=Fraction(3, 10)),
    "uneven times.mp4": lambda path: make(path, pts=[0, 2, 19, 20, 41, 1054, 1060], time_base=MS),
    "uneven times.mkv": lambda path: make(path, pts=[0, 2, 19, 20, 41, 1054, 1060], time_base=MS),
    "times go back.mkv": backwards,
    "a thousand a second.mkv": thousand_fps,
    "lying count.avi": lying_avi,
    "lying length.mkv": lying_matroska,
    "size changes.ts": growing,
    "cover.mp4": cover_art,
    "two covers.mkv": two_covers,
    "two videos.mp4": two_videos,
    "two videos.mkv": two_videos,
    "many streams.mp4": subtitles,
    "many streams.mkv": subtitles,
    "interlaced.mp4": interlaced,
    "interlaced.mkv": lambda path: make(path, codec="mpeg2video", size=(64, 64), options={"flags": "+ildct+ilme"}),
    "HDR10.mp4": lambda path: make(
        path, codec="libx265", pix_fmt="yuv420p10le", tags=HDR10, size=(64, 64),
        options={"preset": "ultrafast", "x265-params": _MASTER},
    ),
    "HDR10.mkv": lambda path: make(path, codec="libsvtav1", pix_fmt="yuv420p10le", tags=HDR10, size=(64, 64)),
    "HLG.mov": lambda path: make(
        path, codec="libx265", pix_fmt="yuv420p10le", tags=HLG, size=(64, 64),
        options={"preset": "ultrafast", "x265-params": "log-level=none"},
    ),
    "full range.mp4": lambda path: make(path, tags={"color_range": 2, "colorspace": 6}),
    "turned.mov": lambda path: make(path, rotation=90, sample_aspect=Fraction(4, 3)),
    "one pixel.gif": lambda path: make(path, codec="gif", pix_fmt="rgb8", size=(1, 1), pts=range(3)),
    "one pixel.mkv": lambda path: make(path, codec="ffv1", pix_fmt="gray", size=(1, 1), pts=range(3)),
    "one frame.mp4": lambda path: make(path, pts=range(1)),
    "two frames.mp4": lambda path: make(path, pts=range(2)),
    "odd size.mkv": lambda path: make(path, codec="ffv1", size=(33, 17)),
    "odd size.webm": lambda path: make(path, codec="libvpx-vp9", size=(33, 17)),
    "alpha.mov": lambda path: make(path, codec="qtrle", pix_fmt="argb"),
    "twelve bits.mkv": lambda path: make(path, codec="ffv1", pix_fmt="yuv422p12le"),
    "uneven delays.gif": uneven_gif,
    "uneven delays.webp": uneven_webp,
}  # fmt: skip
"""Makers by the name of the file."""

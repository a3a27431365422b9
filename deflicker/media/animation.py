"""Animated WebP in, which FFmpeg's decoder does not know; and the last delay of animations out, which it forgets."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from deflicker.errors import InputError

_MILLISECOND = Fraction(1, 1000)
_FCTL_BYTES = 26
"""Length of APNG's frame control chunk; delay numerator and denominator lie at 20."""


def is_animated_webp(path: Path) -> bool:
    """Whether a file is WebP with the animation flag set (RFC 9649, section 2.7.1.1)."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def unpack_webp(source: Path, target: Path) -> None:
    """Write every picture of an animated WebP to `target`, an MP4 file: lossless, with the same delays.

    Raises InputError where it is damaged.
    """
    try:
        with av.open(str(target), "w", format="mp4") as output, Image.open(source) as image:
            stream: Any = output.add_stream("ffv1", rate=25)
            stream.width, stream.height = image.size
            stream.pix_fmt = "bgra" if image.mode == "RGBA" else "bgr0"
            stream.codec_context.time_base = _MILLISECOND
            for picture, begin_ms, delay_ms in _pictures(image):
                frame: Any = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = begin_ms, _MILLISECOND
                for packet in stream.encode(frame):
                    packet.duration = delay_ms
                    output.mux(packet)
            output.mux(stream.encode(None))
    except (OSError, EOFError, SyntaxError) as error:
        raise InputError(f"{source} is no WebP that can be read: {error}") from error


def _pictures(image: Image.Image) -> Iterator[tuple[Any, int, int]]:
    """Each picture `[H, W, 4]`, when it is shown and for how long, in milliseconds."""
    begin_ms = 0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()  # the delay is known only then
        delay_ms = max(1, int(image.info.get("duration") or 0))  # a delay of 0 would put two pictures at one time
        yield np.asarray(image.convert("RGBA")), begin_ms, delay_ms
        begin_ms += delay_ms


def mend_last_delay(path: Path, container: str, delay: Fraction) -> None:
    """Write how long the last picture of an APNG or WebP file is shown, in seconds: its muxer makes a guess."""
    if container == "apng":
        _patch(path, b"fcTL", 20, struct.pack(">HH", min(65535, round(delay * 1000)), 1000), checked=True)
    elif container == "webp":
        _patch(path, b"ANMF", 12, struct.pack("<I", min(0xFFFFFF, round(delay * 1000)))[:3], checked=False)


def _patch(path: Path, kind: bytes, offset: int, data: bytes, *, checked: bool) -> None:
    """Replace bytes in the last chunk of a kind: PNG's (big-endian, with a checksum), or RIFF's."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(8 if checked else 12)
        last: int | None = None
        while file.tell() + 8 <= size:
            head = file.read(8)
            length = struct.unpack(">I", head[:4])[0] if checked else struct.unpack("<I", head[4:])[0]
            name, begin = head[4:] if checked else head[:4], file.tell()
            last = begin if name == kind else last
            file.seek(begin + (length + 4 if checked else length + length % 2))
        if last is None:
            return
        file.seek(last + offset)
        file.write(data)
        if checked:
            file.seek(last - 4)
            checksum = zlib.crc32(file.read(4 + _FCTL_BYTES))  # of the name and the content
            file.seek(last + _FCTL_BYTES)
            file.write(struct.pack(">I", checksum))

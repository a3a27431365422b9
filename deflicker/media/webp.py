"""Animated WebP, which FFmpeg does not decode: Pillow's pictures as a Matroska stream, made while it is read."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from deflicker.core.errors import InputError

_MS = Fraction(1, 1000)
_CANVAS = slice(24, 30)
"""Where a VP8X header says width - 1 and height - 1, three bytes each."""


def is_animated_webp(head: bytes) -> bool:
    """Whether a file that begins like this (30 bytes or more) is a WebP with several pictures (RFC 9649, 2.7)."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) >= 30 and bool(head[20] & 2)


def canvas_size(head: bytes) -> tuple[int, int]:
    """Width and height of a picture, as the header says."""
    width, height = (int.from_bytes(head[_CANVAS][at : at + 3], "little") + 1 for at in (0, 3))
    return width, height


class WebpStream:
    """A file object for `av.open`: uncompressed R'G'B'A pictures with their own delays, and the WebP's tags.

    One picture is in memory at a time, beside the file. Raises InputError where it is damaged from the start; damage
    further on ends the stream with OSError when it is reached.
    """

    def __init__(self, path: Path) -> None:
        from PIL import Image

        self._failure: OSError | None = None
        try:
            whole, self._delays_ms, complete = _whole_chunks(path.read_bytes())
            if not complete:
                self._fail(f"the file is damaged or cut off after picture {len(self._delays_ms)}")
            self._image: Any = Image.open(io.BytesIO(whole), formats=["WEBP"])
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{path} cannot be read as a video: {error}") from error
        self._made = bytearray()
        self._parts = self._pieces()

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or OSError(errno.EIO, reason)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while len(self._made) < size and next(self._parts, None) is not None:
            pass
        taken = bytes(self._made[:size])
        del self._made[:size]
        if not taken and self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return taken

    def write(self, data: bytes) -> int:
        """What the muxer makes."""
        self._made += data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._image.close()

    def _pieces(self) -> Iterator[bool]:
        """Mux one picture after the other."""
        with av.open(_Sink(self), "w", format="matroska") as output:
            output.metadata.update(_tags(self._image))
            mean_ms = max(1, sum(self._delays_ms)) / max(1, len(self._delays_ms))
            stream: Any = output.add_stream("rawvideo", rate=Fraction(1000 / mean_ms).limit_denominator(1001))
            stream.width, stream.height = self._image.size
            stream.pix_fmt, stream.codec_context.time_base = "rgba", _MS
            for pts, duration, picture in self._pictures():
                picture.pts, picture.time_base = pts, _MS
                for packet in stream.encode(picture):
                    packet.duration = duration
                    output.mux(packet)
                yield True
        yield True

    def _pictures(self) -> Iterator[tuple[int, int, Any]]:
        """(time, how long it is shown, picture), times in milliseconds."""
        pts = 0
        for number, delay in enumerate(self._delays_ms):
            try:
                self._image.seek(number)
                pixels = np.asarray(self._image.convert("RGBA"))
            except (OSError, EOFError, ValueError, SyntaxError) as error:
                self._fail(f"picture {number + 1} of {len(self._delays_ms)} does not decode: {error}")
                return
            yield pts, delay, av.VideoFrame.from_ndarray(pixels, format="rgba")
            pts += delay


def _whole_chunks(data: bytes) -> tuple[bytes, list[int], bool]:
    """The file without a chunk that is cut off, the delay of each picture in ms, and whether nothing is missing."""
    at, delays_ms, complete = 12, [], 8 + int.from_bytes(data[4:8], "little") <= len(data)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if end > len(data):
            complete = False
            break
        if data[at : at + 4] == b"ANMF":
            delays_ms.append(int.from_bytes(data[at + 20 : at + 23], "little"))
        at = end
    return data[:4] + (at - 8).to_bytes(4, "little") + data[8:at], delays_ms, complete


class _Sink:
    """The writing end, which cannot be read or sought, so that the muxer does not try to."""

    def __init__(self, stream: WebpStream) -> None:
        self.write = stream.write


def _tags(image: Any) -> dict[str, str]:
    """Texts that generators leave in the EXIF as `name:text`, such as their workflow."""
    texts = [value for value in image.getexif().values() if isinstance(value, str)]
    pairs = (text.partition(":") for text in texts)
    return {name: text for name, colon, text in pairs if colon and name.isidentifier()}

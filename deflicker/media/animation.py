"""Two properties of animations that FFmpeg does not handle: the play count, and the delay of the last picture."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

_FCTL_BYTES = 26
"""Length of APNG's frame control chunk; delay numerator and denominator lie at 20."""


ENDLESS = 0
"""The play count that stands for an endless loop."""
_OPTIONS = {"gif": "loop", "webp": "loop", "apng": "plays"}
"""FFmpeg's option for it, by container."""
_MOST = 65535
_CHUNKS = 64
"""Chunks or blocks to look at for the number; it stands before the first picture."""


def play_count(path: Path) -> int | None:
    """How many times an animation is shown, or `ENDLESS`; None for other files.

    GIF counts repetitions after the first time (Netscape's extension), WebP (RFC 9649, 2.7.1.1) and APNG every time.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"GIF8":
            return _gif_plays(file)
        if head[:4] == b"RIFF" and head[8:] == b"WEBP":
            found = _chunk(file, b"ANIM", big=False)
            return None if found is None else int.from_bytes(found[4:6], "little")
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            file.seek(8)
            found = _chunk(file, b"acTL", big=True)
            return None if found is None else int.from_bytes(found[4:8], "big")
    return None


def play_option(container: str, times: int | None) -> dict[str, str]:
    """The muxer's option for a play count; endless if `times` is None."""
    if container not in _OPTIONS:
        return {}
    times = min(times or ENDLESS, _MOST)
    if container == "gif" and times:
        times = times - 1 or -1  # shown once is no repetition, and that is no extension
    return {_OPTIONS[container]: str(times)}


def holds_plays(container: str) -> bool:
    """Whether a container stores a play count."""
    return container in _OPTIONS


def _gif_plays(file: BinaryIO) -> int:
    file.seek(10)
    flags = file.read(3)[:1]
    file.seek(13 + (3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0))
    for _ in range(_CHUNKS):
        if file.read(1) != b"\x21":  # a picture, or the end
            break
        file.read(1)
        blocks = []
        while size := int.from_bytes(file.read(1), "little"):
            blocks.append(file.read(size))
        if len(blocks) > 1 and blocks[0] == b"NETSCAPE2.0" and blocks[1][:1] == b"\x01":
            repeats = int.from_bytes(blocks[1][1:3], "little")
            return repeats + 1 if repeats else ENDLESS
    return 1


def _chunk(file: BinaryIO, kind: bytes, *, big: bool) -> bytes | None:
    """What the first chunk of a kind holds, in PNG (big-endian) or RIFF; None where there is none near the start."""
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = (head[4:], head[:4]) if big else (head[:4], head[4:])
        size = int.from_bytes(length, "big" if big else "little")
        if name == kind:
            return file.read(min(size, 32))
        file.seek(size + (4 if big else size % 2), 1)
    return None


def set_last_delay(path: Path, container: str, delay: Fraction) -> None:
    """Write the delay of the last picture of an APNG or WebP file, in seconds; its muxer guesses one."""
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

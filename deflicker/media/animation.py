"""The delay of an animation's last picture, which FFmpeg does not write."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

_FCTL_BYTES = 26
"""Length of APNG's frame control chunk; delay numerator and denominator lie at 20."""


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

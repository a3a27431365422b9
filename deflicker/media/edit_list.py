"""Edit lists of MP4 and QuickTime: which parts of a track are shown, when and in which order (ISO/IEC 14496-12, 8.6.6).

A demuxer applies them and a muxer makes simple ones anew; what says more is carried over here, box by box.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deflicker.core.errors import OutputError

_NOTHING = -1
"""The media time of an edit that shows nothing."""
_BLOCK = 1 << 20
_MOOV_BYTES = 1 << 28
"""Larger headers are not read."""


@dataclass(frozen=True)
class EditList:
    """The edits of one track."""

    entries: tuple[tuple[int, int, int], ...]
    """Duration in ticks of the movie, start in ticks of the media or -1 for nothing, rate in 1/65536."""
    movie_scale: int
    media_scale: int
    """Ticks per second."""


def read_edits(path: Path, track: int) -> EditList | None:
    """The edit list of the track with this ID; None where there is none."""
    moov = _moov(path)
    trak = moov and _trak(moov[1], track)
    elst = trak and _find(trak, b"edts", b"elst")
    if not moov or not trak or not elst or len(elst) < 8:
        return None
    form = ">QqI" if elst[0] else ">IiI"
    count = min(struct.unpack_from(">I", elst, 4)[0], (len(elst) - 8) // struct.calcsize(form))
    entries = tuple(struct.unpack_from(form, elst, 8 + n * struct.calcsize(form)) for n in range(count))
    return EditList(entries, _scale(_find(moov[1], b"mvhd")), _scale(_find(trak, b"mdia", b"mdhd")))


def write_edits(path: Path, edits: EditList, first_dts: int) -> None:
    """Replace the edit list of the first track. first_dts: in ticks of `edits`, when its first packet is due.

    Raises OutputError where the file's header cannot be found.
    """
    moov = _moov(path)
    trak = moov and _find(moov[1], b"trak")
    if not moov or not trak:
        raise OutputError(f"{path} has no header to write an edit list to")
    at, content = moov
    movie, media = _scale(_find(content, b"mvhd")), _scale(_find(trak, b"mdia", b"mdhd"))
    entries = [
        (
            round(length * movie / edits.movie_scale),
            start if start == _NOTHING else round((start - first_dts) * media / edits.media_scale),
            rate,
        )
        for length, start, rate in edits.entries
    ]
    body = b"".join(struct.pack(">QqI", *entry) for entry in entries)
    edts = _box(b"edts", _box(b"elst", struct.pack(">BxxxI", 1, len(entries)) + body))
    _put(path, at, len(content) + 8, _with_edits(content, trak, edts, sum(length for length, *_ in entries)))


def _with_edits(moov: bytes, trak: bytes, edts: bytes, length: int) -> bytes:
    """The movie header with another edit list in one track, and how long that is now shown."""
    made = b""
    for name, body in _boxes(moov):
        if name == b"mvhd":
            body = _timed(body, max(length, _length(body, 16)), 16)
        elif body == trak:
            parts = [(each, part) for each, part in _boxes(body) if each != b"edts"]
            body = b"".join(
                _box(b"tkhd", _timed(part, length, 20)) + edts if each == b"tkhd" else _box(each, part)
                for each, part in parts
            )
        made += _box(name, body)
    return made


def _length(header: bytes, at: int) -> int:
    return int(struct.unpack_from(">Q", header, at + 8)[0] if header[0] else struct.unpack_from(">I", header, at)[0])


def _timed(header: bytes, length: int, at: int) -> bytes:
    """A header with another duration, which lies at this place, or 8 bytes behind it in version 1."""
    if header[0]:
        return header[: at + 8] + struct.pack(">Q", length) + header[at + 16 :]
    return header[:at] + struct.pack(">I", min(length, 0xFFFFFFFF)) + header[at + 4 :]


def _put(path: Path, at: int, old_bytes: int, moov: bytes) -> None:
    """Replace the header; what follows it is moved where the size differs."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        more = len(moov) + 8 - old_bytes
        if at + old_bytes < end:  # chunks lie behind it
            if more < 0:
                filler = max(8, -more)  # the least that a box takes
                moov, more = moov + _box(b"free", bytes(filler - 8)), more + filler
            moov = _moved(moov, more)
            _shift(file, at + old_bytes, end, more)
        file.seek(at)
        file.write(_box(b"moov", moov))
        if at + old_bytes == end:
            file.truncate()


def _moved(moov: bytes, more: int) -> bytes:
    """The header with all chunk offsets increased by `more` bytes."""
    made = b""
    for name, body in _boxes(moov):
        if name in (b"trak", b"mdia", b"minf", b"stbl"):
            body = _moved(body, more)
        elif name in (b"stco", b"co64"):
            form = "I" if name == b"stco" else "Q"
            count = struct.unpack_from(">I", body, 4)[0]
            places = [place + more for place in struct.unpack_from(f">{count}{form}", body, 8)]
            if max(places, default=0) > 0xFFFFFFFF and form == "I":
                raise OutputError("the file is too large to give it another edit list")
            body = body[:8] + struct.pack(f">{count}{form}", *places)
        made += _box(name, body)
    return made


def _shift(file: BinaryIO, begin: int, end: int, more: int) -> None:
    """Move the bytes from `begin` to `end` further on, last ones first."""
    while more and end > begin:
        start = max(begin, end - _BLOCK)
        file.seek(start)
        block = file.read(end - start)
        file.seek(start + more)
        file.write(block)
        end = start


def _moov(path: Path) -> tuple[int, bytes] | None:
    """Where the movie's header begins, and what it holds."""
    with path.open("rb") as file:
        end, at = file.seek(0, 2), 0
        while at + 8 <= end:
            file.seek(at)
            size, name = struct.unpack(">I4s", file.read(8))
            if size == 1:
                size = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0]
            elif name == b"moov" and 8 <= size <= _MOOV_BYTES:
                return at, file.read(size - 8)
            if size < 8:
                return None
            at += size
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box; what is no box ends it."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            return
        yield name, data[at + 8 : at + size]
        at += size


def _find(data: bytes, *names: bytes) -> bytes:
    """What the box of these names holds, one in the other; empty where there is none."""
    for wanted in names:
        data = next((body for name, body in _boxes(data) if name == wanted), b"")
    return data


def _trak(moov: bytes, track: int) -> bytes:
    for name, body in _boxes(moov):
        header = _find(body, b"tkhd") if name == b"trak" else b""
        if len(header) >= 24 and struct.unpack_from(">I", header, 20 if header[0] else 12)[0] == track:
            return body
    return b""


def _scale(header: bytes) -> int:
    """Ticks per second, as `mvhd` and `mdhd` say it in the same place."""
    return int(struct.unpack_from(">I", header, 20 if header[0] else 12)[0]) if len(header) >= 24 else 1


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body

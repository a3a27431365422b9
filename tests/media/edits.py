"""MP4 files with edit lists of every shape, streams that begin in odd places, and two readers that judge copies."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.media.making import picture

Edit = tuple[int, int, float]
"""How long in milliseconds, from which time of the media in its ticks (-1 for nothing), how fast."""
RATE = 25
BASE = Fraction(1, 12800)
TICKS = 512
"""Of one picture."""
PLAIN = {"preset": "ultrafast", "bf": "0", "g": "6", "sc_threshold": "0"}
PYRAMID = {"preset": "ultrafast", "bf": "3", "b-pyramid": "normal", "g": "8", "sc_threshold": "0"}
OPEN = PYRAMID | {"x264-params": "open-gop=1:bframes=3:b-pyramid=strict:keyint=8:min-keyint=8:scenecut=0"}


def stream(
    path: Path, pts: Sequence[int], options: dict[str, str], *, codec: str = "libx264", skip: int = 0, shift: int = 0
) -> Path:
    """Pictures at `pts` (in `BASE`); of the packets the first `skip` are left out, all are moved by `shift`."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(codec, rate=RATE, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = BASE
        packets = []
        for index, when in enumerate(pts):
            frame = picture(index)
            frame.pts, frame.time_base = when, BASE
            packets += video.encode(frame)
        packets += video.encode()
        for packet in packets[skip:]:
            packet.pts += shift
            packet.dts += shift
            out.mux(packet)
    return path


def with_edits(path: Path, edits: Sequence[Edit], *, version: int = 0) -> Path:
    """The MP4 file with this edit list in its first track (ISO/IEC 14496-12, 8.6.6)."""
    data = path.read_bytes()
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    entries = b""
    for length_ms, start, rate in edits:
        form = ">QqI" if version else ">IiI"
        entries += struct.pack(form, length_ms * scale // 1000, start, round(rate * 65536))
    elst = _box(b"elst", struct.pack(">BxxxI", version, len(edits)) + entries)
    path.write_bytes(_replaced(data, _box(b"edts", elst)))
    return path


def _replaced(data: bytes, edts: bytes) -> bytes:
    made, at = b"", 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        if name in (b"moov", b"trak"):
            made += _box(name, _replaced(body, edts))
        elif name != b"edts":
            made += data[at : at + size]
            if name == b"tkhd":
                made += edts
        at += size
    return made


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


Shown = list[tuple[Fraction, str]]
"""When each picture is shown, in seconds, and a hash of it."""


def shown(path: Path) -> Shown:
    """As PyAV decodes it, without the product."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest = hashlib.sha256(frame.to_ndarray(format=frame.format.name).tobytes()).hexdigest()[:12]
            found.append((frame.pts * Fraction(frame.time_base), digest))
    return found


def shown_by_ffmpeg(path: Path) -> Shown | None:
    """As another build of FFmpeg decodes it, its command lines; None where there is none, or where the two disagree."""
    program, prober = shutil.which("ffmpeg"), shutil.which("ffprobe")
    if program is None or prober is None:
        return None
    command = [program, "-v", "error", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-copyts"]
    done = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, text=True)
    hashes = [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")]
    command = [prober, "-v", "error", "-select_streams", "v:0", "-show_frames", "-show_streams", "-of", "json"]
    found = json.loads(subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout)
    base = Fraction(found["streams"][0]["time_base"])
    times = [frame["pts"] * base for frame in found["frames"]]
    return list(zip(times, hashes, strict=True)) if len(times) == len(hashes) else None


def timecode_of(path: Path) -> str | None:
    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
        return tags.get("timecode")  # Matroska knows capitals only

"""Whether a packet copy shows the same pictures as its source: packets are compared; where that is not
conclusive, both are decoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from deflicker.core.options import Limits
from deflicker.media.demux import open_input, packets
from deflicker.media.input_format import InputFormat
from deflicker.media.planes import planes_of
from deflicker.media.probe import VideoInfo, as_fraction, open_decoder, video_stream

_KEEP_OFFSETS = ("mp4", "mov", "matroska", "webm", "nut")
"""Containers whose first picture is shown at the time that it is given; others begin where they like."""
_KEEP_NO_TIMES = ("avi", "mxf", "image2", "yuv4mpegpipe", "rawvideo", "gif", "apng", "mpeg")
_REWRAPPED = ("h264", "hevc", "vvc", "aac")
"""Codecs whose packets some containers wrap in another way."""

Written = Path | BinaryIO


def pictures_kept(info: VideoInfo, written: Written, container: str, *, moved: bool) -> int | None:
    """How many pictures a copy of `info.path` shows, if they are the source's, at its times; None if they are not.

    `container`: FFmpeg's name of the copy's format. `moved`: its times are known to differ.
    """
    with ExitStack() as stack:

        def both() -> tuple[Any, Any]:
            copy = stack.enter_context(_open(written, container, info))
            return stack.enter_context(open_input(info.path, input_format=info.input_format)), copy

        timed = not moved and container not in _KEEP_NO_TIMES
        count = _same_packets(*both(), info, absolute=container in _KEEP_OFFSETS, timed=timed)
        return count or _same_pictures(*both(), info, absolute=container in _KEEP_OFFSETS, timed=timed)


def _open(written: Written, container: str, info: VideoInfo) -> Any:
    if isinstance(written, Path):
        input_format = (
            InputFormat("image2", info.input_format.options) if container == "image2" and info.input_format else None
        )
        return open_input(written, input_format=input_format)
    written.seek(0)
    return av.open(written, format="matroska" if container == "webm" else container)


def _same_packets(source: Any, copy: Any, info: VideoInfo, *, absolute: bool, timed: bool) -> int | None:
    """The number of packets where both have the same ones and begin so that every decoder shows all of them."""
    first, second = source.streams[info.stream_index], video_stream(copy, info.path)
    timestamps, count = _TimeComparison(first, second, absolute=absolute, timed=timed), 0
    rewrapped = info.codec in _REWRAPPED
    if not rewrapped and first.codec_context.pix_fmt != second.codec_context.pix_fmt:
        return None  # a muxer that loses a codec's tag leaves a file that nothing decodes
    for a, b in zip_longest(_packets_of(source, first), _packets_of(copy, second)):
        if a is None or b is None or a.is_discard or b.is_discard or not (count or (a.is_keyframe and b.is_keyframe)):
            return None
        if a.pts is None or b.pts is None or not timestamps.agree(a.pts, b.pts):
            return None
        if not rewrapped and zlib.crc32(a) != zlib.crc32(b):
            return None
        count += 1
    return count


def _packets_of(container: Any, stream: Any) -> Iterator[Any]:
    return (packet for packet in packets(container) if packet.stream_index == stream.index and packet.size)


def _same_pictures(source: Any, copy: Any, info: VideoInfo, *, absolute: bool, timed: bool) -> int | None:
    """The number of pictures where both decode to the same ones, in number, samples and times."""
    first, second = source.streams[info.stream_index], video_stream(copy, info.path)
    timestamps, count = _TimeComparison(first, second, absolute=absolute, timed=timed), 0
    for a, b in zip_longest(_pictures_of(source, first), _pictures_of(copy, second)):
        if a is None or b is None or not _same_samples(a, b):
            return None
        if (a.pts is None) != (b.pts is None) or (a.pts is not None and not timestamps.agree(a.pts, b.pts)):
            return None
        count += 1
    return count or None


def _pictures_of(container: Any, stream: Any) -> Iterator[Any]:
    decoder = open_decoder(stream, Limits())
    for packet in _and_flush(_packets_of(container, stream)):
        try:
            yield from decoder.decode(packet)
        except av.error.EOFError:
            return
        except (av.FFmpegError, ValueError):
            continue


def _and_flush(found: Iterator[Any]) -> Iterator[Any]:
    yield from found
    yield None


def _same_samples(a: Any, b: Any) -> bool:
    if (a.format.name, a.width, a.height, len(a.planes)) != (b.format.name, b.width, b.height, len(b.planes)):
        return False
    return all(map(np.array_equal, planes_of(a), planes_of(b)))


class _TimeComparison:
    """Compares times of two streams, to within a tick of the coarser one."""

    def __init__(self, first: Any, second: Any, *, absolute: bool, timed: bool) -> None:
        self._bases = [as_fraction(stream.time_base) or Fraction(1, 1000) for stream in (first, second)]
        self._offset = Fraction(0) if absolute else None
        self._timed = timed

    def agree(self, first: int, second: int) -> bool:
        apart = second * self._bases[1] - first * self._bases[0]
        if self._offset is None:
            self._offset = apart
        return not self._timed or abs(apart - self._offset) <= max(self._bases)

"""Deinterlacing with FFmpeg's bwdif (Bob Weaver Deinterlacing Filter): one progressive picture per interlaced frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av

from deflicker.media.probe import VideoInfo

_OPTIONS = "mode=send_frame:parity=auto:deint=interlaced"
"""As many pictures as frames; frames that are not marked as interlaced pass through unchanged."""

INTERLACED = "the video is interlaced: --deinterlace auto makes one progressive picture of each frame"
DEINTERLACED = "the video is interlaced: bwdif made one progressive picture of each frame"


def deinterlaced(info: VideoInfo) -> VideoInfo:
    """What is left to process after the deinterlacer; `info` itself where the video is progressive."""
    return replace(info, interlaced=False, deinterlaced=True) if info.interlaced else info


class Deinterlacer:
    """Filters decoded pictures, in order. It holds one back, since bwdif looks at both neighbours."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph: Any = None
        self._shape: tuple[int, int, str] | None = None

    def push(self, picture: av.VideoFrame) -> list[av.VideoFrame]:
        """Take the next picture; returns those that are finished, with the times they came with."""
        shape = picture.width, picture.height, picture.format.name
        finished = self.finish() if shape != self._shape else []
        if self._graph is None:
            self._graph, self._shape = self._build(*shape), shape
        self._graph.push(picture)
        return finished + self._pull()

    def finish(self) -> list[av.VideoFrame]:
        """Return what is still held back; the next picture begins anew."""
        if self._graph is None:
            return []
        self._graph.push(None)
        last, self._graph = self._pull(), None
        return last

    def _build(self, width: int, height: int, pix_fmt: str) -> Any:
        graph: Any = av.filter.Graph()
        source = graph.add_buffer(width=width, height=height, format=pix_fmt, time_base=self._time_base)
        bwdif, sink = graph.add("bwdif", _OPTIONS), graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        graph.configure()
        return graph

    def _pull(self) -> list[av.VideoFrame]:
        found: list[av.VideoFrame] = []
        while True:
            try:
                picture = self._graph.pull()
            except (BlockingIOError, av.error.EOFError):
                return found
            scale = picture.time_base / self._time_base  # bwdif counts in fields
            picture.pts = None if picture.pts is None else round(picture.pts * scale)
            picture.duration = round(picture.duration * scale)
            picture.time_base = self._time_base
            found.append(picture)

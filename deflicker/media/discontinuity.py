"""Time stamps of joined transport streams (`cat a.ts b.ts`): each part counts from its own start.

Here the parts follow each other. FFmpeg's program does the same for its formats marked AVFMT_TS_DISCONT.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

_FORMATS = ("mpegts", "mpeg")
_BACK_S, _AHEAD_S = Fraction(1, 10), Fraction(10)
"""Jumps beyond these are joins, as in FFmpeg; a shorter jump ahead is a pause."""

JOINED = "time stamps start anew where streams were joined: the parts follow each other"


def may_be_joined(container: Any) -> bool:
    """Whether a file's format allows parts that count from their own start."""
    return container.format.name in _FORMATS


class Joiner:
    """Shifts the packets of each further part behind the part before, by one offset for all streams."""

    def __init__(self) -> None:
        self.joins = 0
        """Jumps found so far."""
        self._offsets = [Fraction(0)]
        self._part: dict[int, int] = {}
        self._last: dict[int, tuple[Fraction, Fraction]] = {}
        """When the last packet of each stream is due, and for how long it lasts, in seconds."""

    def shift(self, packet: av.Packet[Any]) -> None:
        """Change the times of the next packet in the file."""
        part = len(self._offsets) - 1
        if packet.dts is not None and packet.stream.type in ("video", "audio"):
            part = self._part_of(packet.stream_index, packet.dts * Fraction(packet.time_base))
            self._part[packet.stream_index] = part
            self._remember(packet, packet.dts * Fraction(packet.time_base) + self._offsets[part])
        if self._offsets[part] and packet.time_base:
            ticks = round(self._offsets[part] / Fraction(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _part_of(self, stream: int, time: Fraction) -> int:
        """The part that a packet belongs to; demuxers deliver the last packets of a part after others of the next."""
        newest = len(self._offsets) - 1
        if stream not in self._last:
            return newest
        begin, length = self._last[stream]
        for part in range(self._part[stream], newest + 1):
            if begin - _BACK_S <= time + self._offsets[part] <= begin + length + _AHEAD_S:
                return part
        if self._part[stream] < newest:
            return newest
        self._offsets.append(max(begin + length for begin, length in self._last.values()) - time)
        self.joins += 1
        return newest + 1

    def _remember(self, packet: av.Packet[Any], time: Fraction) -> None:
        length = (packet.duration or 0) * Fraction(packet.time_base)
        if not length and (last := self._last.get(packet.stream_index)):
            length = time - last[0] if last[0] < time <= last[0] + 1 else last[1]
        self._last[packet.stream_index] = time, length

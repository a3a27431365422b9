"""Which packets of the other streams belong to the kept part of a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from deflicker.media.probe import as_fraction, is_cover


class PacketTrimmer:
    """Pass on, in order, packets that overlap the kept part of the video. Times in seconds.

    A packet may be read long before the frame that decides about it is decoded, so some are queued.
    """

    def __init__(
        self, deliver: Callable[[av.Packet[Any]], None] | None, *, trimmed_start: bool, trimmed_end: bool
    ) -> None:
        self._deliver = deliver
        self._held: deque[av.Packet[Any]] = deque()
        self._low: Fraction | None = None
        self._start_known = not trimmed_start
        self._trimmed_start = trimmed_start
        self._high: Fraction | None = None
        """With a trimmed end: what lies before this is inside; what lies behind is not decided until `_end_known`."""
        self._trimmed_end = trimmed_end
        self._end_known = not trimmed_end
        self._past_end: set[int] = set()

    def add_packet(self, packet: av.Packet[Any]) -> None:
        """Take the next packet read."""
        begin = _begin(packet)
        if self._end_known and self._high is not None and begin is not None and begin >= self._high:
            self._past_end.add(packet.stream_index)
        if self._deliver is None:
            return
        self._held.append(packet)
        self._drain()

    def skip_frame(self, seconds: Fraction) -> None:
        """A frame was left out because it lies before the start."""
        self._low = seconds
        self._drain()

    def start_at(self, seconds: Fraction) -> None:
        """The time of the first kept frame."""
        if self._trimmed_start:
            self._low, self._start_known = seconds, True
        self._drain()

    def keep_frame(self, seconds: Fraction) -> None:
        """A frame is kept."""
        if self._trimmed_end and not self._end_known:
            self._high = seconds
            self._drain()

    def end_at(self, seconds: Fraction) -> None:
        """The time of the first frame past the end."""
        if not self._end_known:
            self._high, self._end_known = seconds, True
            self._drain()

    def finished(self, video: int, audio: frozenset[int]) -> bool:
        """Whether nothing inside can follow: the video and every audio stream were read past the end."""
        return self._past_end >= audio | {video}

    def finish(self) -> None:
        """The file is read to its end: decide about all queued packets."""
        self._high = self._high if self._end_known and self._trimmed_end else None
        self._start_known = self._end_known = True
        self._drain()

    def _drain(self) -> None:
        while self._held:
            verdict = self._verdict(self._held[0])
            if verdict is None:
                return
            packet = self._held.popleft()
            if verdict and self._deliver:
                self._deliver(packet)

    def _verdict(self, packet: av.Packet[Any]) -> bool | None:
        """Whether a packet overlaps the kept part; None while that is not known."""
        begin = _begin(packet)
        if begin is None or (packet.stream.type == "video" and is_cover(packet.stream)):
            return True
        if self._low is not None and begin < self._low and begin + _length(packet) <= self._low:
            return False
        if not self._start_known:
            return None
        if self._end_known:
            return self._high is None or begin < self._high
        return True if self._high is not None and begin < self._high else None


def _begin(packet: av.Packet[Any]) -> Fraction | None:
    ticks = packet.pts if packet.pts is not None else packet.dts
    base = as_fraction(packet.time_base)
    return None if ticks is None or base is None else ticks * base


def _length(packet: av.Packet[Any]) -> Fraction:
    return (packet.duration or 0) * (as_fraction(packet.time_base) or Fraction(0))

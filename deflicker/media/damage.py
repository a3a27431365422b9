"""Damage found in a file: counted, or an error under `strict`."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import InputError
from deflicker.media.probe import as_fraction

_TOLERANCE_S = Fraction(1, 5)
_TOLERANCE_FRAMES = 2
"""By how much less than its header says a sound file may last: headers are rounded, last pictures have no length."""


class DamageLog:
    """Counts damage by its description. With `strict`, the first damage raises InputError."""

    def __init__(self, path: Path, *, strict: bool) -> None:
        self._path, self._strict = path, strict
        self._counts: Counter[str] = Counter()

    def add(self, what: str) -> None:
        """Count one more."""
        if self._strict:
            raise InputError(f"{self._path}: {what}; leave out --strict to keep what decodes")
        self._counts[what] += 1

    def clear(self) -> None:
        """Reset all counts."""
        self._counts.clear()

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def found(self) -> tuple[tuple[str, int], ...]:
        """Each description and how often it was added."""
        return tuple(self._counts.items())


class TruncationCheck:
    """Compares where a file ends with what its header says, for containers whose header is reliable."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._promised: Fraction | None = None
        self._video = stream.index
        # Matroska says when the whole file ends, counted from 0; MP4 how long the pictures last.
        self._whole = "matroska" in container.format.name
        if self._whole and container.duration:
            self._promised = Fraction(container.duration, av.time_base)
        elif "mov" in container.format.name and stream.duration:
            self._promised = stream.duration * (as_fraction(stream.time_base) or Fraction(0))
        self._start = self._end = Fraction(0)
        self._pictures = 0

    def on_packet(self, packet: av.Packet[Any]) -> None:
        """Take the next packet read."""
        base = as_fraction(packet.time_base)
        is_video = packet.stream_index == self._video
        if base is None or packet.pts is None or not packet.size or not (self._whole or is_video):
            return
        if self._pictures == 0 and not self._whole:
            self._start = packet.pts * base
        self._pictures += is_video
        self._start = min(self._start, packet.pts * base)
        self._end = max(self._end, (packet.pts + (packet.duration or 0)) * base)

    @property
    def early(self) -> str:
        """By how much the file ends too early, as a message; empty where it does not."""
        length = self._end - self._start
        if self._promised is None or self._pictures == 0:
            return ""
        missing = self._promised - length
        if missing <= max(_TOLERANCE_S, _TOLERANCE_FRAMES * length / self._pictures):
            return ""
        return f"the file ends {float(missing):.1f} s before its header says"

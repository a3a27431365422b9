"""A segment of a stream, tracked by itself exactly as within the whole: what must be known of the rest for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deflicker.motion.cuts import StructureMaps
from deflicker.motion.record import SkipReason


@dataclass(frozen=True)
class SegmentShots:
    """Frames that follow each other, the first of them the stream's or a picture that starts a shot.

    What a `ShotTracker` without flow found out about each of them. Given this, a tracker finds the same again and
    estimates motion in the same batches, so that not even rounding tells the segment from the whole.
    """

    first: int
    """Number of its first frame, counted from the stream's first."""
    starts_shot: tuple[bool, ...]
    """Whether each starts a shot."""
    is_duplicate: tuple[bool, ...]
    """Whether each shows the picture of the frame before it once more."""
    skip: tuple[SkipReason | None, ...]
    """Why each stays as it is, if it does."""
    gap: int
    """Skipped frames that come right before the first."""

    def __len__(self) -> int:
        return len(self.skip)


class ReplayedCuts:
    """Says where shots begin, in place of `CutFinder`, from what is known."""

    def __init__(self, segment: SegmentShots) -> None:
        frames = zip(segment.starts_shot, segment.is_duplicate, segment.skip, strict=True)
        self._starts = [starts for starts, duplicate, skip in frames if not duplicate and skip is None]
        self._next = 0

    def openings(self, maps: StructureMaps, count: int) -> list[bool]:
        """Which of the next `count` pictures begin a shot."""
        self._next += count
        return self._starts[self._next - count : self._next]

    def state_dict(self) -> dict[str, object]:
        """How far it has come."""
        return {"next": self._next}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on there."""
        self._next = state["next"]

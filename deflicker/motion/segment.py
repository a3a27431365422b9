"""A part of a stream, tracked by itself exactly as within the whole: what must be known of the rest for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from deflicker.motion.cuts import Looks

Kept = Literal["excluded", "flash"]
"""Why a frame stays as it is, and is no neighbour to any other."""


@dataclass(frozen=True)
class Part:
    """Frames that follow each other, the first of them the stream's or a picture that opens a shot.

    What tracking found out about each of them before, with no motion looked for. Given this, `track` finds the same
    again and estimates motion in the same batches, so that not even rounding tells the part from the whole.
    """

    first: int
    """Number of its first frame, counted from the stream's first."""
    opens: tuple[bool, ...]
    """Whether each opens a shot."""
    held: tuple[bool, ...]
    """Whether each shows the picture of the frame before it once more."""
    kept: tuple[Kept | None, ...]
    """Why each stays as it is, if it does."""
    gap: int
    """Kept frames that come right before the first."""

    def __len__(self) -> int:
        return len(self.opens)


class KnownCuts:
    """Says where shots begin, in place of `CutFinder`, from what is known."""

    def __init__(self, part: Part) -> None:
        frames = zip(part.opens, part.held, part.kept, strict=True)
        self._opens: Iterator[bool] = iter([opens for opens, held, kept in frames if not held and kept is None])

    def openings(self, looks: Looks, count: int) -> list[bool]:
        """Which of the next `count` pictures begin a shot."""
        return [next(self._opens) for _ in range(count)]


class NoFlow:
    """Stands in for the network while only shots are looked for."""

    def features(self, frames: Tensor) -> Sequence[Any]:
        return [None] * len(frames)

    def flow(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[Tensor, Tensor]:
        none = torch.zeros(len(first), 2, 0, 0)
        return none, none

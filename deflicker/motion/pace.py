"""Which repetitions belong to the picture they repeat, and which are pictures of their own."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST_HOLD = 3
"""Repetitions after which each further one counts as a picture: up to four frames to a picture is how animation and
generators are shown, 8 pictures at 30 frames a second; what stays longer is meant to stay, and light that blinks must
be seen to last."""
CALM = 24
"""Frames after one that stayed longer until repetitions are held again."""


def held_of(same: Sequence[bool], pace: tuple[int, int]) -> tuple[list[bool], list[tuple[int, int]]]:
    """Which of them are held, the first repetitions of a picture, and the pace before each and after the last.

    A pace is how many repetitions came right before, and how many frames ago a picture stayed longer than that.
    """
    held, paces = [], [pace]
    for repeats in same:
        run, calm = paces[-1]
        held.append(repeats and run < _LONGEST_HOLD and calm >= CALM)
        run = run + 1 if repeats else 0
        paces.append((run, 0 if run > _LONGEST_HOLD else calm + 1))
    return held, paces

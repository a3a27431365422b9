"""Which repetitions belong to the picture they repeat, and which are pictures of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.core.blocks import stored

ALIKE = 0.25 / 255
"""Mean difference of two proxies below which they show the same picture."""
_LONGEST_HOLD = 3
"""Repetitions after which each further one counts as a picture: up to four frames to a picture is how animation and
generators are shown, 8 pictures at 30 frames a second; what stays longer is meant to stay, and light that blinks must
be seen to last."""
_MIN_SINCE_LOOP = 24
"""Frames after a picture that stayed longer, or one that came back, until repetitions are duplicates again."""


@stored
@dataclass(frozen=True, eq=False)
class DuplicateRun:
    """The repetitions before a frame, and the pictures they are told by."""

    repetitions: int = 0
    """Right before."""
    frames_since_loop: int = _MIN_SINCE_LOOP
    """Frames since a picture last stayed too long, or came back as the one before the one before:
    a light that goes on and off."""
    latest: Tensor | None = None
    """`[3, h, w]`: proxy of the latest picture."""
    earlier: Tensor | None = None
    """Of the one before."""


def mark_duplicates(
    proxies: Sequence[Tensor | None], same: Sequence[bool], run: DuplicateRun
) -> tuple[list[bool], list[DuplicateRun]]:
    """Which frames are duplicates, the first repetitions of a picture, and the run before each and after the last.

    proxies: `[3, h, w]` of each frame, None of skipped ones; same: which repeat the frame before them.
    """
    duplicates, runs = [], [run]
    came_back = _come_back(proxies, same, run)
    for number, (proxy, repeats) in enumerate(zip(proxies, same, strict=True)):
        last = runs[-1]
        duplicates.append(repeats and last.repetitions < _LONGEST_HOLD and last.frames_since_loop >= _MIN_SINCE_LOOP)
        repetitions = last.repetitions + 1 if repeats else 0
        since = 0 if repetitions > _LONGEST_HOLD or number in came_back else last.frames_since_loop + 1
        is_new = proxy is not None and not repeats
        runs.append(
            DuplicateRun(repetitions, since, *((proxy, last.latest) if is_new else (last.latest, last.earlier)))
        )
    return duplicates, runs


def _come_back(proxies: Sequence[Tensor | None], same: Sequence[bool], run: DuplicateRun) -> set[int]:
    """The frames that show the picture before the one before them once more."""
    latest, earlier = run.latest, run.earlier
    numbers, differences = [], []
    for number, (proxy, repeats) in enumerate(zip(proxies, same, strict=True)):
        if proxy is None or repeats:
            continue
        if earlier is not None:
            numbers.append(number)
            differences.append((proxy - earlier).abs().mean())
        latest, earlier = proxy, latest
    alike = (torch.stack(differences) < ALIKE).tolist() if differences else []
    return {number for number, back in zip(numbers, alike, strict=True) if back}

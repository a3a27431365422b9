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
_CALM = 24
"""Frames after a picture that stayed longer, or one that came back, until repetitions are held again."""


@stored
@dataclass(frozen=True, eq=False)
class Pace:
    """What came before a frame."""

    repetitions: int = 0
    """Right before."""
    calm: int = _CALM
    """Frames since a picture last stayed longer than pictures are held, or came back as the one before the one before:
    a light that goes on and off."""
    latest: Tensor | None = None
    """`[3, h, w]`: proxy of the latest picture."""
    earlier: Tensor | None = None
    """Of the one before."""


def held_of(proxies: Sequence[Tensor | None], same: Sequence[bool], pace: Pace) -> tuple[list[bool], list[Pace]]:
    """Which frames are held, the first repetitions of a picture, and the pace before each and after the last.

    proxies: `[3, h, w]` of each frame, None of those kept as they are; same: which repeat the frame before them.
    """
    held, paces = [], [pace]
    came_back = _come_back(proxies, same, pace)
    for number, (proxy, repeats) in enumerate(zip(proxies, same, strict=True)):
        last = paces[-1]
        held.append(repeats and last.repetitions < _LONGEST_HOLD and last.calm >= _CALM)
        run = last.repetitions + 1 if repeats else 0
        calm = 0 if run > _LONGEST_HOLD or number in came_back else last.calm + 1
        is_new = proxy is not None and not repeats
        paces.append(Pace(run, calm, *((proxy, last.latest) if is_new else (last.latest, last.earlier))))
    return held, paces


def _come_back(proxies: Sequence[Tensor | None], same: Sequence[bool], pace: Pace) -> set[int]:
    """The frames that show the picture before the one before them once more."""
    latest, earlier = pace.latest, pace.earlier
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

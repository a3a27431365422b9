"""What a running job says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """One step of a running job."""

    stage: Literal["weights", "scan", "shots", "frames", "finish"]
    frames_done: int
    frames_total: int | None
    """What the container says; may be wrong or unknown."""


OnProgress = Callable[[Progress], None]

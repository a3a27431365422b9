"""Frames and shots a run treats specially: frames it skips, shots whose texture it stabilises, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deflicker.correction.types import SpaceDecision

_MAX_RANGES, _MAX_SHOTS = 12, 6
"""How many are listed one by one."""
_REASONS = {"excluded": "excluded", "flash": "flashes"}


@dataclass(frozen=True)
class SkippedRange:
    """Consecutive frames left uncorrected for the same reason."""

    first: int
    """Number of the first in the output, from 0."""
    last: int
    why: str
    """`excluded` or `flash`."""

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


class SkippedFrames:
    """Merges skipped frames into ranges."""

    def __init__(self) -> None:
        self._ranges: list[SkippedRange] = []

    def add(self, frame: int, why: str | None) -> None:
        """Take the next frame; `why` is None for a frame that is not skipped."""
        if why is None:
            return
        last = self._ranges[-1] if self._ranges else None
        if last and last.why == why and last.last == frame - 1:
            self._ranges[-1] = replace(last, last=frame)
        else:
            self._ranges.append(SkippedRange(frame, frame, why))

    @property
    def ranges(self) -> tuple[SkippedRange, ...]:
        """In order."""
        return tuple(self._ranges)


def skipped_lines(ranges: Sequence[SkippedRange]) -> list[str]:
    """One line for each reason, with the first few ranges."""
    lines = []
    for why, name in _REASONS.items():
        found = [str(each) for each in ranges if each.why == why]
        more = f" and {len(found) - _MAX_RANGES} more ranges" if len(found) > _MAX_RANGES else ""
        if found:
            lines.append(f"{name}: frames {', '.join(found[:_MAX_RANGES])}{more}")
    return lines


@dataclass(frozen=True)
class ShotTexture:
    """A shot whose texture boils or is redrawn."""

    first: int
    """Its first frame in the output, from 0."""
    space: str
    """`pixel`, `latent` or `both`; `hold` where it is held."""
    boil_share: float
    """Fraction of all change of its texture that is boil, as first measured; where held, of its texture that is
    redrawn."""
    boil_levels: float
    """Root mean square of the boil, in levels of 255; where held, of what holding changes."""
    why: str

    def __str__(self) -> str:
        if self.space == "hold":
            return (
                f"shot from frame {self.first}: held, since {self.boil_share:.0%} of it is redrawn, "
                f"by {self.boil_levels:.1f} levels of 255 ({self.why})"
            )
        found = f"{self.boil_share:.0%} of its change is boil, {self.boil_levels:.1f} levels of 255"
        where = {"pixel": "in pixels", "latent": "in latents", "both": "in pixels and latents"}[self.space]
        return f"shot from frame {self.first}: averaged {where}, since {found} ({self.why})"


class TextureShots:
    """Collects the shots whose texture is stabilised."""

    def __init__(self) -> None:
        self._shots: list[ShotTexture] = []
        self._first = 0

    def add(self, frame: int, starts_shot: bool, decision: SpaceDecision | None) -> None:
        """Take the next frame; `decision` is None where its texture was left alone."""
        if starts_shot:
            self._first = frame
        if decision is None or (self._shots and self._shots[-1].first == self._first):
            return
        found = decision.space, decision.boil_share, decision.boil_levels, decision.why
        self._shots.append(ShotTexture(self._first, *found))

    @property
    def shots(self) -> tuple[ShotTexture, ...]:
        """In order."""
        return tuple(self._shots)


def texture_lines(shots: Sequence[ShotTexture]) -> list[str]:
    """A line for each of the first few shots."""
    more = len(shots) - _MAX_SHOTS
    return [str(shot) for shot in shots[:_MAX_SHOTS]] + ([f"and {more} more shots"] if more > 0 else [])

"""Which frames and shots a run treats specially: frames it skips, shots whose texture it stabilises, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deflicker.correction.types import Choice

_NAMED_PARTS, _NAMED_SHOTS = 12, 6
"""How many are listed one by one."""


@dataclass(frozen=True)
class KeptPart:
    """Frames in a row that were kept for the same reason."""

    first: int
    """Number of the first in the output, from 0."""
    last: int
    why: str
    """`excluded` or `flash`."""

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


class KeptFrames:
    """Adds frames up to parts."""

    def __init__(self) -> None:
        self._parts: list[KeptPart] = []

    def add(self, frame: int, why: str | None) -> None:
        """Take the next frame; None where it was not kept."""
        if why is None:
            return
        last = self._parts[-1] if self._parts else None
        if last and last.why == why and last.last == frame - 1:
            self._parts[-1] = replace(last, last=frame)
        else:
            self._parts.append(KeptPart(frame, frame, why))

    @property
    def parts(self) -> tuple[KeptPart, ...]:
        """In order."""
        return tuple(self._parts)


def skipped_lines(parts: tuple[KeptPart, ...]) -> list[str]:
    """One line for each reason, the first few parts by their frames."""
    lines = []
    for why, name in (("excluded", "excluded"), ("flash", "flashes")):
        of_this = [str(part) for part in parts if part.why == why]
        more = f" and {len(of_this) - _NAMED_PARTS} parts more" if len(of_this) > _NAMED_PARTS else ""
        if of_this:
            lines.append(f"{name}: frames {', '.join(of_this[:_NAMED_PARTS])}{more}")
    return lines


@dataclass(frozen=True)
class ShotTexture:
    """One shot that boils."""

    first: int
    """Its first frame in the output, from 0."""
    space: str
    """`pixel`, `latent` or `both`."""
    boil_share: float
    """Part of all change of its texture that is boil, as first seen."""
    boil_levels: float
    """Root mean square of the boil, in code values of 255."""
    why: str

    def __str__(self) -> str:
        found = f"{self.boil_share:.0%} of its change is boil, {self.boil_levels:.1f} code values"
        where = {"pixel": "in pixels", "latent": "in latents", "both": "in pixels and latents"}[self.space]
        return f"shot from frame {self.first}: {where} ({found}): {self.why}"


class TextureShots:
    """Adds up what frames say."""

    def __init__(self) -> None:
        self._shots: list[ShotTexture] = []
        self._first = 0

    def add(self, frame: int, opens_shot: bool, chosen: Choice | None) -> None:
        """Take the next frame; None where its texture was left alone."""
        if opens_shot:
            self._first = frame
        if chosen is None or (self._shots and self._shots[-1].first == self._first):
            return
        told = chosen.space, chosen.boil_share, chosen.boil_levels, chosen.why
        self._shots.append(ShotTexture(self._first, *told))

    @property
    def shots(self) -> tuple[ShotTexture, ...]:
        """In order."""
        return tuple(self._shots)


def texture_lines(shots: tuple[ShotTexture, ...]) -> list[str]:
    """A line for each of the first few shots."""
    more = len(shots) - _NAMED_SHOTS
    return [str(shot) for shot in shots[:_NAMED_SHOTS]] + ([f"and {more} shots more"] if more > 0 else [])

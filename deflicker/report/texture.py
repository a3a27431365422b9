"""Where the texture of each shot that boils was steadied, and why there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

_NAMED = 6


class Chosen(Protocol):
    """What was chosen for a shot; see `correction.renewal.Choice`."""

    @property
    def space(self) -> str: ...

    @property
    def boil_share(self) -> float: ...

    @property
    def boil_levels(self) -> float: ...

    @property
    def why(self) -> str: ...


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

    def add(self, frame: int, opens_shot: bool, chosen: Chosen | None) -> None:
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


def in_words(shots: tuple[ShotTexture, ...]) -> list[str]:
    """A line for each of the first few shots."""
    more = len(shots) - _NAMED
    return [str(shot) for shot in shots[:_NAMED]] + ([f"and {more} shots more"] if more > 0 else [])

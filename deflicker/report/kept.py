"""Which frames were left as they are although a correction ran, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace


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


def in_words(parts: tuple[KeptPart, ...]) -> list[str]:
    """One line for each reason, the first few parts by their frames."""
    lines = []
    for why, name in (("excluded", "excluded"), ("flash", "flashes")):
        of_this = [str(part) for part in parts if part.why == why]
        more = f" and {len(of_this) - _NAMED} parts more" if len(of_this) > _NAMED else ""
        if of_this:
            lines.append(f"{name}: frames {', '.join(of_this[:_NAMED])}{more}")
    return lines


_NAMED = 12

"""Numbered images: a name such as `frames/%05d.png` that stands for many files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deflicker.core.errors import InputError

IMAGES = frozenset({
    *(".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".dpx", ".exr", ".webp", ".tga", ".sgi", ".ppm"),
    *(".pgm", ".pbm", ".pam", ".pnm", ".pfm", ".jp2", ".j2k", ".jxl", ".jls", ".qoi", ".pcx", ".hdr", ".sun", ".ras"),
})  # fmt: skip
"""Extensions of which a name may be a pattern; anywhere else, `%03d` is part of a plain name."""
_PLACE = re.compile(r"%(?:0(\d{1,2}))?d")


@dataclass(frozen=True)
class ImageSequence:
    """The files that a pattern stands for."""

    pattern: Path
    digits: int
    """Least number of digits; numbers are filled up with zeros."""

    def file(self, number: int) -> Path:
        """The file with this number."""
        return self.pattern.with_name(_PLACE.sub(f"{number:0{self.digits}d}", self.pattern.name))

    def numbers(self) -> list[int]:
        """The numbers of the files that are there, in order."""
        before, after = _PLACE.split(self.pattern.name, maxsplit=1)[0], _PLACE.split(self.pattern.name)[-1]
        own = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
        names = [path.name for path in self.pattern.parent.iterdir()] if self.pattern.parent.is_dir() else []
        found = {int(match[1]) for name in names if (match := own.fullmatch(name))}
        return sorted(number for number in found if self.file(number).name in set(names))

    def span(self) -> tuple[int, int]:
        """The first and the last number. Raises InputError where there is no file, or one is missing between them."""
        there = self.numbers()
        if not there:
            raise InputError(f"{self.pattern}: no such images; the first would be {self.file(0)} or {self.file(1)}")
        for expected, number in enumerate(there, there[0]):
            if number != expected:
                raise InputError(f"{self.file(expected)} is missing, but {self.file(number)} is there: fill the gap")
        return there[0], there[-1]


def has_number_placeholder(path: Path) -> bool:
    """Whether a name contains a number placeholder such as `%05d`."""
    return bool(_PLACE.search(path.name))


def image_sequence(path: Path) -> ImageSequence | None:
    """The images that a path such as `%05d.png` stands for; None for the name of a single file."""
    match = _PLACE.search(path.name)
    if match is None or path.suffix.lower() not in IMAGES or path.exists() or len(_PLACE.findall(path.name)) > 1:
        return None
    return ImageSequence(path, int(match[1] or 1))

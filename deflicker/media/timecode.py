"""SMPTE ST 12-1 time codes: `HH:MM:SS:FF`, or `HH:MM:SS;FF` where frame numbers are dropped (29.97 and 59.94 fps)."""

from __future__ import annotations

import re
from fractions import Fraction

_CODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def advance(code: str, frames: int, rate: Fraction) -> str | None:
    """The time code that many frames later, at `rate` frames per second; None where `code` is not a time code."""
    match = _CODE.fullmatch(code)
    if match is None or rate <= 0:
        return None
    hours, minutes, seconds, number = (int(match[k]) for k in (1, 2, 3, 5))
    per_second = max(1, round(rate))
    # Of each minute but every tenth, the first numbers are left out: two at 29.97 fps, four at 59.94.
    dropped = round(per_second / 15) if match[4] != ":" else 0
    per_minute, per_ten = per_second * 60 - dropped, per_second * 600 - 9 * dropped
    total_minutes = hours * 60 + minutes
    count = (total_minutes * 60 + seconds) * per_second + number - dropped * (total_minutes - total_minutes // 10)
    count = (count + frames) % (per_ten * 144)
    tens, rest = divmod(count, per_ten)
    count += dropped * (9 * tens + max(0, (rest - dropped) // per_minute))
    seconds, number = divmod(count, per_second)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{match[4]}{number:02}"

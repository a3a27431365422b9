"""How raw video and frame rates are written on a command line."""

from __future__ import annotations

from fractions import Fraction

import pytest

from deflicker.core.errors import SettingsError
from deflicker.core.values import RawVideo, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", Fraction(24)),
        ("23.976", Fraction(2997, 125)),
        ("24000/1001", Fraction(24000, 1001)),
        ("0.5", Fraction(1, 2)),
    ],
)
def test_rates(text: str, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-24", "24/0", "fast", "1e9", "24/1/1"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(SettingsError, match="24000/1001"):
        parse_rate(text)


def test_raw_video() -> None:
    assert RawVideo.parse("640x360@30000/1001") == RawVideo(640, 360, Fraction(30000, 1001), "rgb24")


@pytest.mark.parametrize("text", ["640x360", "640@24", "0x360@24", "640x00@24", "640x360@", "axb@24", "-1x2@24"])
def test_what_describes_no_raw_video(text: str) -> None:
    with pytest.raises(SettingsError):
        RawVideo.parse(text)

"""The table of pixels and latents, and how often `auto` was right, from rows whose numbers are made up."""

from __future__ import annotations

from typing import Any

from scripts.bench import spaces


def case(clip: str, chosen: str, **psnr: float) -> list[dict[str, Any]]:
    """Rows of one clip: PSNR of pixel, latent and both, and that of `auto`, which took one of them."""
    found = {"input": 20.0} | psnr | {"auto": psnr[chosen or "pixel"]}
    rest = {"kind": "boil", "seed": 1, "temporal": 30.0, "lpips": 0.1, "sharpness": 1.0, "ewarp": 5.0}
    seconds = {"input": 0.0, "pixel": 0.1, "latent": 0.3, "both": 0.3, "auto": 0.3}
    return [
        {"clip": clip, "method": name, "psnr": value, "seconds": seconds[name], "chosen": chosen} | rest
        for name, value in found.items()
    ]


ROWS = [
    *case("a", "both", pixel=30.0, latent=31.0, both=32.0),
    *case("b", "both", pixel=30.0, latent=29.0, both=30.5),
    *case("c", "pixel", pixel=30.0, latent=30.2, both=30.4),
    *case("d", "pixel", pixel=30.0, latent=29.0, both=29.5),
    *case("e", "", pixel=40.0, latent=40.0, both=40.0),
]


def test_how_often_auto_was_right() -> None:
    """In a and d against either, in b against both alone, in c against none; e is the same wherever it is steadied."""
    lines = list(spaces.verdict(ROWS))
    assert lines[:6] == [
        "boil: 5 cases, 4 in which a space makes a difference",
        "  latent − pixel: -0.20 dB (-1.00 to +1.00), better in 2, 3.0 times the seconds",
        "  both − pixel: +0.60 dB (-0.50 to +2.00), better in 3, 3.0 times the seconds",
        "  auto − pixel: +0.62 dB (+0.00 to +2.00), better in 2, 3.0 times the seconds",
        "  auto took the better of pixel and both in 3 of 4",
        "  auto took the better of pixel and latent in 2 of 4",
    ]
    assert lines[6].startswith("all: 5 cases")


def test_the_table_marks_the_best_and_says_what_auto_took() -> None:
    head, given, pixel, _, both, auto, *rest = spaces.table(ROWS)
    assert head[:4] == ["clip", "kind", "space", "PSNR"]
    assert given[:4] == ["a", "boil", "input", "20.00"]
    assert pixel[:4] == ["", "", "pixel", "30.00"]
    assert both[2:4] == ["both", "**32.00**"]
    assert auto[2:4] == ["auto: both", "32.00"]
    assert rest[-1][2] == "auto: no boil"

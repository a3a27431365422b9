"""Rows of `measure_latent.py` as a table, and how often `auto` took the better of pixels and latents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from .tables import Table

SPACES = ("pixel", "latent", "both", "auto")
_SAME_DB = 0.005
"""Difference that is none: nothing of the clip was touched, or it rounds away."""

Case = Mapping[str, Mapping[str, Any]]
"""The rows of one clip, kind and seed by method."""


def cases(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, int], dict[str, Mapping[str, Any]]]:
    """Rows by clip, kind and seed, and there by method, in their order."""
    found: dict[tuple[str, str, int], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["clip"], row["kind"], row["seed"]), {})[row["method"]] = row
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each clip, kind, seed and method; the best PSNR of `SPACES` but auto's is bold, and `auto` says what
    it took."""
    lines = [["clip", "kind", "space", "PSNR", "temporal PSNR", "LPIPS", "sharpness", "E_warp", "s a frame"]]
    for (clip, kind, _), case in cases(rows).items():
        best = max((row["psnr"] for name, row in case.items() if name in SPACES), default=0.0)
        for number, (method, row) in enumerate(case.items()):
            psnr = f"{row['psnr']:.2f}"
            lines.append([
                clip if number == 0 else "", kind if number == 0 else "",
                f"auto: {row['chosen'] or 'no boil'}" if method == "auto" else method,
                f"**{psnr}**" if method in SPACES[:3] and row["psnr"] == best else psnr,
                f"{row['temporal']:.2f}", f"{row['lpips']:.3f}", f"{row['sharpness']:.3f}", f"{row['ewarp']:.2f}",
                "" if method == "input" else f"{row['seconds']:.2f}",
            ])  # fmt: skip
    return lines


def verdict(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the rows say, kind by kind and over all, in lines."""
    every = cases(rows)
    kinds = list(dict.fromkeys(kind for _, kind, _ in every))
    for kind in (*kinds, "all"):
        of_kind = [case for (_, each, _), case in every.items() if kind in (each, "all")]
        boiling = [case for case in of_kind if touched(case)]
        yield f"{kind}: {len(of_kind)} cases, {len(boiling)} in which a space makes a difference"
        if not boiling:
            continue
        for method in ("latent", "both", "auto"):
            gains = [case[method]["psnr"] - case["pixel"]["psnr"] for case in boiling]
            yield (
                f"  {method} − pixel: {fmean(gains):+.2f} dB ({min(gains):+.2f} to {max(gains):+.2f}), "
                f"better in {sum(gain > 0 for gain in gains)}, {spent(boiling, method):.1f} times the seconds"
            )
        for rival in ("both", "latent"):
            right = sum(is_right(case, rival) for case in boiling)
            yield f"  auto took the better of pixel and {rival} in {right} of {len(boiling)}"


def touched(case: Case) -> bool:
    """Whether it makes a difference where the clip is steadied."""
    return any(abs(case[name]["psnr"] - case["pixel"]["psnr"]) > _SAME_DB for name in ("latent", "both"))


def is_right(case: Case, rival: str) -> bool:
    """Whether `auto` went the way, into pixels alone or not, that is nearer to the truth."""
    pixels = case["auto"]["chosen"] in ("pixel", "")
    return bool(pixels == (case["pixel"]["psnr"] >= case[rival]["psnr"]))


def spent(some: Sequence[Case], method: str) -> float:
    """Seconds of a method over those of pixels."""
    return fmean(case[method]["seconds"] for case in some) / fmean(case["pixel"]["seconds"] for case in some)

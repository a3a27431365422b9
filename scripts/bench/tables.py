"""Rows of numbers as text: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from statistics import fmean

from .quality import INPUT, RealRow, Row

Table = Sequence[Sequence[str]]
"""The first row names the columns."""


def text(table: Table) -> str:
    """Columns padded to one width, the first two to the left, numbers to the right."""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]

    def line(row: Sequence[str]) -> str:
        cells = (cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    head, *body = table
    parts = [line(head), "  ".join("-" * w for w in widths)]
    groups = [list(rows) for _, rows in groupby(body, key=lambda row: row[0])]
    space = [""] if any(len(rows) > 1 for rows in groups) else []
    for rows in groups:
        parts += [*map(line, rows), *space]
    return "\n".join(parts).rstrip()


def markdown(table: Table) -> str:
    """A GitHub table."""
    head, *body = table
    rule = ["---" if k < 2 else "---:" for k in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


# --- Quality ----------------------------------------------------------------------------------------------------------

POOLED_KINDS = frozenset({"drift", "blotches", "thing"})
"""Kinds whose PSNR column is pooled over frames: the first frame of a drift is exact, and of blotches and things, about
one number a frame, each frame in which that is almost nought, and they would lift a mean of dB."""

TEMPORALLY_POOLED_KINDS = frozenset({"seam"})
"""Kinds whose temporal PSNR is pooled over pairs: of all pairs few hold a seam, and a mean of dB would hide them."""


def psnr_of(row: Row) -> float:
    """The PSNR that counts for the row's kind."""
    return row.scores.psnr_pooled if row.kind in POOLED_KINDS else row.scores.psnr


def temporal_of(row: Row) -> float:
    """The temporal PSNR that counts for the row's kind."""
    return row.scores.temporal_psnr_pooled if row.kind in TEMPORALLY_POOLED_KINDS else row.scores.temporal_psnr


def quality(rows: Sequence[Row]) -> Table:
    """Each kind × method: mean over clips (each clip the mean of its seeds), the worst clip in brackets."""
    columns = ["PSNR (worst)", "temporal (worst)", "SSIM", "LPIPS", "sharpness", "E_warp", "oracle", "s", "clips"]
    table = [["kind", "method", *columns]]
    methods = list(dict.fromkeys(row.method for row in rows))
    for kind in dict.fromkeys(row.what for row in rows):
        for method in methods:
            some = [row for row in rows if row.what == kind and row.method == method]
            if some:
                table.append([kind, method, *_cells(some)])
    return table


def _cells(rows: Sequence[Row]) -> list[str]:
    sharp = per_clip(rows, lambda row: row.scores.sharpness)
    noise = fmean(per_clip(rows, lambda row: row.scores.ewarp_truth))
    return [
        _mean_and_worst(per_clip(rows, psnr_of)),
        _mean_and_worst(per_clip(rows, temporal_of)),
        f"{fmean(per_clip(rows, lambda row: row.scores.ssim)):.4f}",
        _lpips([row.scores.lpips for row in rows]),
        f"{fmean(sharp):.2f} ({min(sharp):.2f}–{max(sharp):.2f})",
        f"{fmean(per_clip(rows, lambda row: row.scores.ewarp)):.2f} / {noise:.2f}",
        f"{fmean(per_clip(rows, lambda row: row.oracle)):.1f}",
        "–" if rows[0].method == INPUT else f"{fmean(row.seconds for row in rows):.1f}",
        str(len(sharp)),
    ]


def _lpips(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.4f}" if known else "–"


def per_clip(rows: Sequence[Row], value: Callable[[Row], float]) -> list[float]:
    """Mean over seeds of a value, for each clip."""
    names = dict.fromkeys(row.clip for row in rows)
    return [fmean(value(row) for row in rows if row.clip == name) for name in names]


def _mean_and_worst(values: Sequence[float]) -> str:
    return f"{fmean(values):.1f} ({min(values):.1f})"


def by_clip(rows: Sequence[Row]) -> Table:
    """PSNR / temporal PSNR of each clip and kind, one column a method (mean of the seeds)."""
    methods = list(dict.fromkeys(row.method for row in rows))
    table = [["clip", "kind", *methods]]
    for clip, kind in dict.fromkeys((row.clip, row.what) for row in rows):
        cells = []
        for method in methods:
            some = [row for row in rows if (row.clip, row.what, row.method) == (clip, kind, method)]
            cells.append(f"{fmean(map(psnr_of, some)):.1f} / {fmean(map(temporal_of, some)):.1f}" if some else "–")
        table.append([clip, kind, *cells])
    return table


def harm(rows: Sequence[Row], method: str) -> list[str]:
    """Where a method is worse than its input by more than 0.2 dB, or below 42 dB on a clean clip, in words."""
    given_of = {(row.clip, row.what, row.seed): row for row in rows if row.method == INPUT}
    found = []
    for row in rows:
        if row.method != method:
            continue
        given = given_of[row.clip, row.what, row.seed]
        lost = psnr_of(given) - psnr_of(row)
        if psnr_of(given) >= 98 and psnr_of(row) < 42:
            found.append(f"{method}: {row.clip}, {row.what}: {psnr_of(row):.1f} dB on a clip that needed nothing")
        elif psnr_of(given) < 98 and lost > 0.2:
            found.append(f"{method}: {row.clip}, {row.what}, seed {row.seed}: {lost:.1f} dB below the input")
    return found


def beaten(rows: Sequence[Row], method: str, others: Sequence[str]) -> list[str]:
    """Kinds at which another method's mean PSNR or temporal PSNR is better by more than 0.1 dB, in words."""
    found = []
    for kind in dict.fromkeys(row.what for row in rows):
        for score, value in (("PSNR", psnr_of), ("temporal PSNR", temporal_of)):
            means = {
                name: fmean(per_clip(some, value))
                for name in (method, *others)
                if (some := [row for row in rows if row.what == kind and row.method == name])
            }
            for name in others:
                if method in means and means.get(name, 0.0) > means[method] + 0.1:
                    found.append(f"{kind}, {score}: {name} {means[name]:.1f} dB, {method} {means[method]:.1f} dB")
    return found


def real(rows: Sequence[RealRow]) -> Table:
    """Each clip that flickers by itself, before → after."""
    head = ["clip", "method", "flicker whole", "flicker local", "E_warp", "sharpness", "PSNR to input", "frames"]

    def pair(values: tuple[float, float]) -> str:
        return f"{values[0]:.2f} → {values[1]:.2f}"

    table = [head]
    for row in rows:
        steadiness = map(pair, (row.flicker_whole, row.flicker_local, row.ewarp))
        table.append(
            [row.clip, row.method, *steadiness, f"{row.sharpness:.3f}", f"{row.psnr_to_input:.1f}", str(row.frames)]
        )
    return table

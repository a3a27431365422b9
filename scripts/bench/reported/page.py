"""The rows as a page: one line a kind and strength, the harm that was done, and every case with what it failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import fmean

from ..quality import INPUT
from ..tables import Table
from .criteria import HARM
from .kinds import KINDS
from .run import OURS, Row

_READING = (
    "Each kind is made from code on clean clips (`scripts/bench/reported`) and run by the real command. *input*, "
    "*deflicker* and *best peer* are the PSNR of all frames together, dB: mean of the cases, the worst in brackets. "
    "The best peer is the one with the highest PSNR. A case is *right* if it meets every criterion; *failed* "
    "names those that deflicker did not meet in some case. Strength 1 is what was reported; 0 adds no flicker."
)
_CASE = tuple[str, str, float, int]


def introduction(rows: Sequence[Row], how: str) -> str:
    """Title, date, command, clips and how to read the page."""
    cuts = sorted({(row.clip, row.start) for row in rows})
    where = "; ".join(f"{name} from frame {start}" for name, start in cuts)
    seeds = ", ".join(map(str, sorted({row.seed for row in rows})))
    lines = "\n".join(_commands(rows))
    return (
        f"# Kinds of flicker that people report\n\nMade on {date.today()} by\n\n```sh\n{lines}\n```\n\n{_READING}\n\n"
        f"{len(cuts)} clips, {how}, seeds {seeds}. Cuts: {where}."
    )


def _commands(rows: Sequence[Row]) -> list[str]:
    """What gives these rows: a command for each set of kinds, with the strengths that it was run at."""
    strengths: dict[tuple[str, ...], list[str]] = {}
    for strength in sorted({row.strength for row in rows}):
        run = tuple(name for name in KINDS if any(row.kind == name and row.strength == strength for row in rows))
        strengths.setdefault(run, []).append(f"{strength:g}")
    seeds, frames = ",".join(map(str, sorted({row.seed for row in rows}))), max(row.frames for row in rows)
    start, end = "python scripts/benchmark.py reported --clips CLIPS", f" --seeds {seeds} --frames {frames}"
    return [
        start + ("" if run == tuple(KINDS) else f" --kinds {','.join(run)}") + f" --strengths {','.join(each)}{end}"
        for run, each in strengths.items()
    ]


def cases(rows: Sequence[Row]) -> dict[_CASE, dict[str, Row]]:
    """Rows by clip, kind, strength and seed, and there by method."""
    found: dict[_CASE, dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row.clip, row.kind, row.strength, row.seed), {})[row.method] = row
    return found


def failed(row: Row) -> list[str]:
    """The criteria that a row does not meet, with value and bound."""
    criteria = {each.name: each for each in KINDS[row.kind].all_criteria()}
    return [
        criteria[name].text(value)
        for name, value in row.measured.items()
        if name in criteria and not criteria[name].is_met(value)
    ]


def harm(rows: Sequence[Row]) -> list[str]:
    """Where the product's output is worse than its input by a criterion of `HARM`, in words."""
    found = []
    for row in rows:
        criteria = {each.name: each for each in KINDS[row.kind].all_criteria()}
        wrong = [criteria[n].text(v) for n, v in row.measured.items() if n in HARM and not criteria[n].is_met(v)]
        if row.method == OURS and wrong:
            found.append(f"{row.clip}, {row.kind}, strength {row.strength:g}, seed {row.seed}: {'; '.join(wrong)}")
    return found


def best_peer(methods: dict[str, Row]) -> Row | None:
    """The peer whose PSNR is highest."""
    others = [row for name, row in methods.items() if name not in (INPUT, OURS)]
    return max(others, key=lambda row: row.psnr, default=None)


def _right(rows: Sequence[Row]) -> str:
    return f"{sum(not failed(row) for row in rows)} of {len(rows)}" if rows else "–"


def by_kind(rows: Sequence[Row]) -> Table:
    """Each kind and strength: mean PSNR of all frames together, worst case in brackets, and cases that are right."""
    table = [["kind", "strength", "input", "deflicker", "best peer", "right", "peer right", "failed"]]
    every = cases(rows)
    order = list(KINDS)
    for kind, strength in sorted(
        {(row.kind, row.strength) for row in rows}, key=lambda key: (order.index(key[0]), key[1])
    ):
        some = [methods for key, methods in every.items() if key[1:3] == (kind, strength)]
        ours = [methods[OURS] for methods in some if OURS in methods]
        rivals = [rival for methods in some if (rival := best_peer(methods))]
        wrong = sorted({name for row in ours for name in _failed_names(row)})
        table.append([
            kind, f"{strength:g}", _psnr([methods[INPUT] for methods in some]), _psnr(ours), _psnr(rivals),
            _right(ours), _right(rivals), "; ".join(wrong) or "–",
        ])  # fmt: skip
    return table


def _failed_names(row: Row) -> list[str]:
    criteria = {each.name: each for each in KINDS[row.kind].all_criteria()}
    return [name for name, value in row.measured.items() if name in criteria and not criteria[name].is_met(value)]


def _psnr(rows: Sequence[Row]) -> str:
    return f"{fmean(row.psnr for row in rows):.1f} ({min(row.psnr for row in rows):.1f})" if rows else "–"


def by_case(rows: Sequence[Row]) -> Table:
    """Each case: PSNR of input, product and best peer, and each criterion that the product fails."""
    table = [["clip", "kind", "strength", "seed", "input", "deflicker", "best peer", "result"]]
    order = list(KINDS)
    every = sorted(cases(rows).items(), key=lambda item: (item[0][0], order.index(item[0][1]), *item[0][2:]))
    for (clip, kind, strength, seed), methods in every:
        ours, rival = methods.get(OURS), best_peer(methods)
        if ours is None:
            continue
        peer = f"{rival.psnr:.1f} ({rival.method})" if rival else "–"
        result = "; ".join(failed(ours)) or "right"
        psnrs = [f"{methods[INPUT].psnr:.1f}", f"{ours.psnr:.1f}", peer]
        table.append([clip, kind, f"{strength:g}", str(seed), *psnrs, result])
    return table


def bounds() -> Table:
    """What is asked of each kind."""
    table = [["kind", "what it is", "right is"]]
    for name, kind in KINDS.items():
        what = (kind.make.__doc__ or "").strip().splitlines()[0]
        options = f" ({' '.join(kind.options)})" if kind.options else ""
        asked = "; ".join(f"{c.name} {'≥' if c.at_least else '≤'} {c.bound:g}" for c in kind.criteria)
        table.append([name, what + options, asked])
    return table

"""Measure deflicker: quality against known truth and against other methods, memory, speed.

    python scripts/benchmark.py quality --clips FOLDER --kinds none,global --json out.json --markdown out.md
    python scripts/benchmark.py quality --clips FOLDER --ablations
    python scripts/benchmark.py quality --real FOLDER
    python scripts/benchmark.py memory --sizes 720p --lengths 10,300 --rate 4
    python scripts/benchmark.py speed --sizes 480p --presets fast,balanced
    python scripts/benchmark.py reported --clips FOLDER --kinds overlay,half --strengths 0.5,1,2
    python scripts/benchmark.py redrawn --pairs EDIT=SOURCE --clips FOLDER --styles strokes
    python scripts/benchmark.py show one.json two.json --markdown out.md --plots FOLDER

What each column means: docs/results/benchmarks.md.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import ablations, clips, memory, peers, perception, plots, quality, speed, tables
from bench.output import bullets, read_json, say, show, write_json, write_plots
from bench.redrawn import page as redrawn_page
from bench.redrawn import run as redrawn
from bench.reported import page as reported_page
from bench.reported import run as reported


def main(arguments: Sequence[str] | None = None) -> None:
    from bench.options import parser

    runs = {
        "quality": run_quality,
        "memory": run_memory,
        "speed": run_speed,
        "reported": run_reported,
        "redrawn": run_redrawn,
        "show": run_show,
    }
    options = parser(__doc__.splitlines()[0], runs).parse_args(arguments)  # type: ignore[union-attr]
    options.run(options)


# --- quality ----------------------------------------------------------------------------------------------------------


def run_quality(options: argparse.Namespace) -> None:
    plan = quality_plan(options)
    with tempfile.TemporaryDirectory() as folder:
        if options.real:
            real: list[quality.RealRow] = []
            paths = [path for each in options.real for path in clips.videos(each)]
            for found in quality.run_real(paths, plan, Path(folder)):
                real.append(found)
                say(f"{found.clip}, {found.method}: done")
                write_json(options, real)
            show(options, f"preset {options.preset}, no truth", tables.real(real))
            return
        rows: list[quality.Row] = []
        started = time.monotonic()
        for row in quality.run(clips.clean_clips(options.clips), plan, Path(folder)):
            rows.append(row)
            shown = f"{tables.psnr_of(row):5.1f} / {row.scores.temporal_psnr:5.1f} dB"
            say(f"{time.monotonic() - started:6.0f} s  {row.clip}, {row.what}, seed {row.seed}, {row.method}: {shown}")
            write_json(options, rows)
    show_quality(options, rows, f"at most {options.width} px wide, preset {options.preset}")


def quality_plan(options: argparse.Namespace) -> quality.Plan:
    """What to run; what cannot be run here is named and left out."""
    preset = ("--preset", options.preset)
    tools = {"deflicker": preset} if "deflicker" in options.methods or options.ablations else {}
    for further in options.tool:
        name, _, words = further.partition("=")
        tools[name] = (*preset, *shlex.split(words))
    tools |= {name: (*preset, *more) for name, more in ablations.tools(options.ablations, options.preset).items()}
    others = [name for name in options.methods if name != "deflicker"]
    for name in [name for name in others if peers.missing(name)]:
        say(f"{name} is left out: {peers.missing(name)}")
        others.remove(name)
    lpips = not options.no_lpips and not options.real
    if lpips and (why := perception.missing()):
        say(f"LPIPS is left out: {why}")
        lpips = False
    h264 = {None: (False,), "only": (True,), "both": (False, True)}[options.h264]
    return quality.Plan(options.kinds, options.seeds, options.frames, options.width, tools, others, h264, lpips)


def show_quality(options: argparse.Namespace, rows: Sequence[quality.Row], how: str) -> None:
    """Tables and plots: methods, what each ingredient is worth, clip by clip, and what is worse than it should be."""
    main_rows = [row for row in rows if not ablations.is_ablation(row.method)]
    cuts = sorted({(row.clip, row.start, row.frames) for row in rows})
    seeds = sorted({row.seed for row in rows})
    about = f"{len({name for name, _, _ in cuts})} clips, {how}, seeds {', '.join(map(str, seeds))}"
    where = "Cuts: " + "; ".join(f"{name} {start}–{start + count - 1}" for name, start, count in cuts)
    tools = [m for m in dict.fromkeys(row.method for row in main_rows) if m not in (quality.INPUT, *peers.PEERS)]
    harmed = [line for name in tools for line in tables.harm(rows, name)]
    behind = [line for name in tools for line in tables.beaten(main_rows, name, tuple(peers.PEERS))]
    show(
        options,
        f"{about}\n\n{where}",
        tables.quality(main_rows),
        ablations.table(rows) or "",
        tables.by_clip(main_rows),
        bullets("Harm done", harmed),
        bullets("Another method is better", behind),
    )
    write_plots(options.plots, plots.of_quality(rows))


# --- memory and speed -------------------------------------------------------------------------------------------------


def run_memory(options: argparse.Namespace) -> None:
    rows: list[memory.Row] = []
    plan = memory.Plan(options.sizes, options.lengths, options.rate, options.presets, options.devices)
    if (shortest := min(options.lengths) * options.rate) < (most := memory.settled_frames(options.presets)):
        say(f"{shortest} frames fill no window: compare lengths from {most} frames on")
    with tempfile.TemporaryDirectory() as folder:
        for row in memory.run(plan, Path(folder)):
            rows.append(row)
            say(f"{row.what}, {row.seconds} s: {row.peak_mb:.0f} MB")
            write_json(options, rows)
    show_memory(options, rows, speed.machine())


def show_memory(options: argparse.Namespace, rows: Sequence[memory.Row], how: str) -> None:
    show(options, f"Peak memory of the process, {how}", memory.table(rows))
    write_plots(options.plots, plots.of_memory(rows))


def run_speed(options: argparse.Namespace) -> None:
    rows: list[speed.Row] = []
    others = [name for name in options.peers if not peers.missing(name)]
    plan = speed.Plan(
        sizes=options.sizes,
        presets=options.presets,
        seconds=options.seconds,
        rate=options.rate,
        devices=options.devices,
        peers=others,
        stages=not options.no_stages,
        codec=options.codec,
        report=options.report,
    )
    for name in options.peers:
        if name not in others:
            say(f"{name} is left out: {peers.missing(name)}")
    with tempfile.TemporaryDirectory() as folder:
        for row in speed.run(plan, Path(folder)):
            rows.append(row)
            say(f"{row.size}, {row.seconds} s, {row.name}: {row.fps:.2f} frames/s")
            write_json(options, rows)
    show_speed(options, rows, speed.machine())


def show_speed(options: argparse.Namespace, rows: Sequence[speed.Row], how: str) -> None:
    show(options, f"Frames a second, {how}", speed.table(rows))
    write_plots(options.plots, plots.of_speed(rows))


# --- Kinds that people report -----------------------------------------------------------------------------------------


def run_reported(options: argparse.Namespace) -> None:
    methods = [name for name in options.methods if name == reported.OURS or not peers.missing(name)]
    plan = reported.Plan(
        options.kinds,
        options.strengths,
        options.seeds,
        options.frames,
        options.width,
        options.preset,
        methods,
        options.keep,
    )
    rows: list[reported.Row] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for row in reported.run(clips.clean_clips(options.clips), plan, Path(folder)):
            rows.append(row)
            wrong = "; ".join(reported_page.failed(row)) or "right"
            what = f"{row.clip}, {row.kind} × {row.strength:g}, seed {row.seed}, {row.method}"
            say(f"{time.monotonic() - started:6.0f} s  {what}: {row.psnr:.1f} dB; {wrong}")
            write_json(options, rows)
    show_reported(options, rows, f"preset {options.preset}, at most {options.width} px wide")


def show_reported(options: argparse.Namespace, rows: Sequence[reported.Row], how: str) -> None:
    show(
        options,
        reported_page.introduction(rows, how),
        reported_page.by_kind(rows),
        bullets("Harm done", reported_page.harm(rows)),
        "## Case by case",
        reported_page.by_case(rows),
        "## What is right",
        reported_page.bounds(),
    )


# --- Redrawn in every frame -------------------------------------------------------------------------------------------


def run_redrawn(options: argparse.Namespace) -> None:
    clean = clips.clean_clips(options.clips) if options.styles else []
    plan = redrawn.Plan(
        options.pairs,
        clean,
        options.styles,
        options.seeds,
        options.frames,
        options.width,
        options.preset,
        lpips=not options.no_lpips,
    )
    rows: list[redrawn.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in redrawn.run(plan, Path(folder)):
            rows.append(row)
            say(f"{row.pair}, {row.method}: done in {row.seconds:.0f} s")
            write_json(options, rows)
    show_redrawn(options, rows, f"preset {options.preset}, at most {options.width} px wide")


def show_redrawn(options: argparse.Namespace, rows: Sequence[redrawn.Row], how: str) -> None:
    frames = sorted({row.frames for row in rows})
    show(options, f"{' or '.join(map(str, frames))} frames, {how}", redrawn_page.table(rows))


# --- What was measured before -----------------------------------------------------------------------------------------


def run_show(options: argparse.Namespace) -> None:
    command, files = read_json(options.files)
    how = "; ".join(dict.fromkeys(each["machine"] for each in files))
    if command == "quality":
        widths = sorted({each["settings"]["width"] for each in files})
        presets = list(dict.fromkeys(each["settings"]["preset"] for each in files))
        how = f"at most {' or '.join(map(str, widths))} px wide, preset {' or '.join(presets)}"
        show_quality(options, quality.joined(files), how)
    elif command == "real":
        show(options, "no truth", tables.real([quality.RealRow(**row) for each in files for row in each["rows"]]))
    elif command == "reported":
        joined = {row.key: row for each in files for row in map(reported.Row.from_dict, each["rows"])}
        show_reported(options, list(joined.values()), _run_how(files))
    elif command == "redrawn":
        show_redrawn(options, [redrawn.Row.from_dict(row) for each in files for row in each["rows"]], _run_how(files))
    elif command == "memory":
        show_memory(options, [memory.Row(**row) for each in files for row in each["rows"]], how)
    else:
        show_speed(options, [speed.Row.from_dict(row) for each in files for row in each["rows"]], how)


def _run_how(files: Sequence[dict[str, Any]]) -> str:
    """Presets and widths of runs that are done."""
    widths = sorted({each["settings"]["width"] for each in files})
    presets = dict.fromkeys(each["settings"]["preset"] for each in files)
    return f"preset {' or '.join(presets)}, at most {' or '.join(map(str, widths))} px wide"


if __name__ == "__main__":
    main()

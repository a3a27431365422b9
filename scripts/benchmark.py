"""Measure deflicker: quality against known truth and against other methods, memory, speed.

    python scripts/benchmark.py quality --clips FOLDER --kinds none,global --json out.json --markdown out.md
    python scripts/benchmark.py quality --real FOLDER
    python scripts/benchmark.py memory --sizes 1280x720 --lengths 10,60
    python scripts/benchmark.py speed --sizes 854x480 --presets fast,balanced

What each column means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import clips, flicker, memory, peers, quality, speed, tables

METHODS = ("deflicker", *peers.PEERS)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    options.run(options)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main_parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    commands = main_parser.add_subparsers(required=True, metavar="quality|memory|speed")

    one = commands.add_parser("quality", help="PSNR and others on clean clips to which flicker is added")
    one.set_defaults(run=run_quality)
    one.add_argument("--clips", nargs="+", type=Path, default=[], help="videos or folders (default: the clean samples)")
    one.add_argument("--real", nargs="+", type=Path, help="clips that flicker by themselves: before and after instead")
    one.add_argument("--kinds", type=names, default=list(flicker.KINDS), help=",".join(flicker.KINDS))
    one.add_argument("--seeds", type=numbers, default=[11])
    one.add_argument("--frames", type=int, default=32)
    one.add_argument("--width", type=int, default=480, help="wider clips are made this wide")
    one.add_argument("--preset", default="balanced")
    one.add_argument("--methods", type=names, default=list(METHODS), help=",".join(METHODS))
    one.add_argument(
        "--tool", action="append", default=[], metavar="NAME=OPTIONS", help="a further run: 'anchored=--anchor 1'"
    )
    one.add_argument("--h264", action="store_true", help="pass the flickering clip through H.264 at crf 20 first")

    two = commands.add_parser("memory", help="peak memory against length")
    two.set_defaults(run=run_memory)
    two.add_argument("--sizes", type=sizes, default=sizes("1280x720"))
    two.add_argument("--lengths", type=numbers, default=[10, 60], help="seconds, at 24 frames a second")
    two.add_argument("--presets", type=names, default=["balanced"])

    three = commands.add_parser("speed", help="frames a second, end to end and of each stage")
    three.set_defaults(run=run_speed)
    three.add_argument("--sizes", type=sizes, default=sizes("854x480,1280x720"))
    three.add_argument("--presets", type=names, default=["fast", "balanced"])
    three.add_argument("--seconds", type=int, default=5, help="length of the clip, at 24 frames a second")
    three.add_argument("--no-stages", action="store_true", help="end to end only")

    for command in (two, three):
        command.add_argument("--device", default="auto")
    for command in (one, two, three):
        command.add_argument("--json", type=Path, help="write every number here")
        command.add_argument("--markdown", type=Path, help="write the tables here")
    return main_parser


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def numbers(text: str) -> list[int]:
    return [int(name) for name in names(text)]


def sizes(text: str) -> list[tuple[int, int]]:
    """`854x480,1280x720` as (width, height)."""
    return [(int(width), int(height)) for width, height in (name.split("x") for name in names(text))]


# --- quality ----------------------------------------------------------------------------------------------------------


def run_quality(options: argparse.Namespace) -> None:
    check(options.kinds, flicker.KINDS, "kind of flicker")
    check(options.methods, METHODS, "method")
    preset = ("--preset", options.preset)
    tools = {"deflicker": preset} if "deflicker" in options.methods else {}
    for further in options.tool:
        name, _, words = further.partition("=")
        tools[name] = (*preset, *shlex.split(words))
    others = [name for name in options.methods if name != "deflicker"]
    for name in [name for name in others if peers.missing(name)]:
        say(f"{name} is left out: {peers.missing(name)}")
        others.remove(name)
    plan = quality.Plan(options.kinds, options.seeds, options.frames, options.width, tools, others, options.h264)
    paths = [path for each in options.real for path in clips.videos(each)] if options.real else None
    with tempfile.TemporaryDirectory() as folder:
        if paths is not None:
            report_real(options, quality.run_real(paths, plan, Path(folder)))
        else:
            report_quality(options, plan, clips.clean_clips(options.clips), Path(folder))


def report_quality(options: argparse.Namespace, plan: quality.Plan, paths: Sequence[Path], folder: Path) -> None:
    rows: list[quality.Row] = []
    started = time.monotonic()
    for row in quality.run(paths, plan, folder):
        rows.append(row)
        shown = f"{tables.psnr_of(row):5.1f} / {row.scores.temporal_psnr:5.1f} dB"
        say(f"{time.monotonic() - started:6.0f} s  {row.clip}, {row.kind}, seed {row.seed}, {row.method}: {shown}")
        write_json(options.json, settings_of(options), rows)
    table, each = tables.quality(rows), tables.by_clip(rows)
    cuts = sorted({(row.clip, row.start, row.frames) for row in rows})
    about = f"{len(cuts)} clips, at most {options.width} px wide, preset {options.preset}, seeds {options.seeds}"
    about += ", through H.264 crf 20" if options.h264 else ""
    where = "Cuts: " + "; ".join(f"{name} {start}–{start + count - 1}" for name, start, count in cuts)
    warned = [line for name in plan.tools for line in tables.harm(rows, name, quality.INPUT)]
    print(f"{about}\n{where}\n\n{tables.text(table)}\n\n{tables.text(each)}")
    print("\n".join(["", "Harm done:", *(warned or ["none"])]))
    write_markdown(options.markdown, about, where, table, each, harm=warned)


def report_real(options: argparse.Namespace, found: Iterable[quality.RealRow]) -> None:
    rows: list[quality.RealRow] = []
    for row in found:
        rows.append(row)
        say(f"{row.clip}, {row.method}: done")
        write_json(options.json, settings_of(options), rows)
    table = tables.real(rows)
    print(tables.text(table))
    write_markdown(options.markdown, f"preset {options.preset}, no truth", "", table)


# --- memory and speed -------------------------------------------------------------------------------------------------


def run_memory(options: argparse.Namespace) -> None:
    rows: list[memory.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in memory.run(options.sizes, options.lengths, options.presets, options.device, Path(folder)):
            rows.append(row)
            say(f"{row.width}x{row.height}, {row.seconds} s, {row.preset}: {row.peak_mb:.0f} MB")
            write_json(options.json, settings_of(options), rows)
    table = memory.table(rows)
    print(tables.text(table))
    write_markdown(options.markdown, "Peak memory of the process", "", table)


def run_speed(options: argparse.Namespace) -> None:
    rows: list[speed.Row] = []
    with tempfile.TemporaryDirectory() as folder:
        plan = speed.Plan(options.sizes, options.presets, options.seconds, options.device, not options.no_stages)
        for row in speed.run(plan, Path(folder)):
            rows.append(row)
            say(f"{row.width}x{row.height}, {row.method}: {row.fps:.2f} frames/s")
            write_json(options.json, settings_of(options), rows)
    table = speed.table(rows)
    print(tables.text(table))
    write_markdown(options.markdown, f"Clips of {options.seconds} s, {speed.machine()}", "", table)


# --- What comes out ---------------------------------------------------------------------------------------------------


def check(given: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in given:
        if name not in known:
            sys.exit(f"there is no {what} {name!r}: choose from {', '.join(known)}")


def say(line: str) -> None:
    """Progress, kept apart from the tables."""
    print(line, file=sys.stderr, flush=True)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The command line without paths, which say more about a machine than about a measurement."""
    hidden = {"run", "json", "markdown", "clips", "real"}
    return {name: value for name, value in vars(options).items() if name not in hidden}


def write_json(path: Path | None, settings: dict[str, Any], rows: Sequence[Any]) -> None:
    """Write all rows so far: a long run that is cut short keeps what it found."""
    if path:
        values = {"settings": settings, "machine": speed.machine(), "rows": [row.to_dict() for row in rows]}
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def write_markdown(path: Path | None, *parts: str | tables.Table, harm: Sequence[str] | None = None) -> None:
    if not path:
        return
    blocks = [part if isinstance(part, str) else tables.markdown(part) for part in parts]
    if harm is not None:
        blocks.append("\n".join(f"- {line}" for line in harm) or "No clip came out worse than it went in.")
    path.write_text("\n\n".join(filter(None, blocks)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The benchmark's command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from . import flicker, peers, synthetic
from .redrawn.styles import STYLES
from .reported.kinds import KINDS as REPORTED
from .without import TERMS

METHODS = ("deflicker", *peers.PEERS)
USUAL_METHODS = tuple(name for name in METHODS if name not in peers.TEXTURE_PEERS)
NAMED_SIZES = {
    "360p": (640, 360),
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2160p": (3840, 2160),
}
REPORTED_METHODS = ("deflicker", "ffmpeg_deflicker", "atadenoise", "ste")
SPEED_PEERS = ("ffmpeg_deflicker", "atadenoise", "ste", "bonneel_flow")


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def names_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Reads names that must be among the known ones."""

    def read(text: str) -> list[str]:
        for name in names(text):
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}: choose from {', '.join(known)}")
        return names(text)

    return read


def numbers(text: str) -> list[int]:
    return [int(name) for name in names(text)]


def decimals(text: str) -> list[float]:
    return [float(name) for name in names(text)]


def pair(text: str) -> tuple[Path, Path]:
    """`EDIT=SOURCE` as two paths."""
    edit, equals, source = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pair: give EDIT=SOURCE")
    return Path(edit), Path(source)


def sizes(text: str) -> list[tuple[int, int]]:
    """`480p,1280x720` as (width, height)."""
    found = []
    for name in names(text):
        width, _, height = name.partition("x")
        found.append(NAMED_SIZES[name] if name in NAMED_SIZES else (int(width), int(height)))
    return found


def parser(description: str, runs: dict[str, Callable[[argparse.Namespace], None]]) -> argparse.ArgumentParser:
    """The command line; `runs` has what each command calls."""
    main_parser = argparse.ArgumentParser(description=description)
    commands = main_parser.add_subparsers(required=True, metavar="|".join(runs), dest="command")
    one = commands.add_parser("quality", help="PSNR and others on clean clips to which flicker is added")
    _quality(one)
    two = commands.add_parser("memory", help="peak memory against length")
    _memory(two)
    three = commands.add_parser("speed", help="frames a second, end to end and of each stage")
    _speed(three)
    four = commands.add_parser("reported", help="kinds of flicker that people report, with criteria of a right result")
    _reported(four)
    redrawn = commands.add_parser("redrawn", help="video that is drawn anew in every frame, with its source")
    _redrawn(redrawn)
    five = commands.add_parser("show", help="the tables and plots of runs that are done")
    five.add_argument(
        "files", nargs="+", type=Path, help="JSON files of one command; later ones go before earlier ones"
    )
    for command in (one, two, three, four, redrawn):
        command.add_argument("--json", type=Path, help="write every number here")
    for command in (one, two, three, four, redrawn, five):
        command.add_argument("--markdown", type=Path, help="write the tables here")
    for command in (one, two, three, five):
        command.add_argument("--plots", type=Path, metavar="FOLDER", help="write plots (SVG) into this folder")
    for name, command in zip(runs, (one, two, three, four, redrawn, five), strict=True):
        command.set_defaults(run=runs[name])
    return main_parser


def _quality(command: argparse.ArgumentParser) -> None:
    kinds = tuple(flicker.KINDS)
    add = command.add_argument
    add("--clips", nargs="+", type=Path, default=[], help="videos or folders (default: the clean samples)")
    add("--real", nargs="+", type=Path, help="clips that flicker by themselves: before and after instead")
    add("--kinds", type=names_of(kinds), default=list(flicker.USUAL_KINDS), help=",".join(kinds))
    add("--seeds", type=numbers, default=[11])
    add("--frames", type=int, default=32)
    add("--width", type=int, default=480, help="wider clips are made this wide")
    add("--preset", default="balanced")
    add("--methods", type=names_of(METHODS), default=list(USUAL_METHODS), help=",".join(METHODS))
    add("--tool", action="append", default=[], metavar="NAME=OPTIONS", help="a further run: 'anchored=--anchor 1'")
    add(
        "--ablations", type=names_of(TERMS), nargs="?", const=list(TERMS), default=[], metavar="TERMS",
        help=f"run without each of these terms as well (all: {','.join(TERMS)})",
    )  # fmt: skip
    add(
        "--h264", nargs="?", const="only", choices=("only", "both"),
        help="pass the flickering clip through H.264 at crf 20 first; `both`: without and with",
    )  # fmt: skip
    add("--no-lpips", action="store_true", help="leave LPIPS out")


def _memory(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--sizes", type=sizes, default=sizes("720p"), help=f"WxH or {','.join(NAMED_SIZES)}")
    add("--lengths", type=numbers, default=[10, 60], help="seconds")
    add("--rate", type=int, default=synthetic.RATE, help="frames a second of the clips; fewer make long ones quicker")
    add("--presets", type=names, default=["balanced"])
    add("--devices", type=names, default=["auto"])


def _speed(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--sizes", type=sizes, default=sizes("480p,720p"), help=f"WxH or {','.join(NAMED_SIZES)}")
    add("--presets", type=names, default=["fast", "balanced"])
    add("--seconds", type=numbers, default=[5], help="lengths of the clips")
    add("--rate", type=int, default=synthetic.RATE, help="frames a second of the clips")
    add("--devices", type=names, default=["auto"])
    add("--peers", type=names_of(tuple(peers.PEERS)), default=list(SPEED_PEERS), help=",".join(peers.PEERS))
    add("--codec", help="encoder of the product's runs")
    add("--report", action="store_true", help="have the product write its report, without LPIPS, as well")
    add("--no-stages", action="store_true", help="end to end only")


def _reported(command: argparse.ArgumentParser) -> None:
    kinds = tuple(REPORTED)
    add = command.add_argument
    add("--clips", nargs="+", type=Path, default=[], help="videos or folders (default: the clean samples)")
    add("--kinds", type=names_of(kinds), default=list(kinds), help=",".join(kinds))
    add("--strengths", type=decimals, default=[1.0], help="1 is what was reported, 0 adds no flicker at all")
    add("--seeds", type=numbers, default=[11])
    add("--frames", type=int, default=32)
    add("--width", type=int, default=320, help="wider clips are made this wide")
    add("--preset", default="balanced")
    add("--methods", type=names_of(METHODS), default=list(REPORTED_METHODS), help=",".join(METHODS))
    add("--keep", type=Path, metavar="FOLDER", help="keep input, truth and output of each case here")


def _redrawn(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--pairs", type=pair, nargs="+", default=[], metavar="EDIT=SOURCE", help="redrawn videos with their sources")
    add(
        "--clips", nargs="+", type=Path, default=[], help="clean videos or folders to be redrawn (default: the samples)"
    )
    add("--styles", type=names_of(tuple(STYLES)), default=list(STYLES), help=",".join(STYLES))
    add("--seeds", type=numbers, default=[11])
    add("--frames", type=int, default=24)
    add("--width", type=int, default=320, help="wider clips are made this wide")
    add("--preset", default="balanced")
    add("--no-lpips", action="store_true", help="leave LPIPS out")

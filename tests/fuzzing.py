"""Broken files by the hundred, each through the command. Run by tests/test_fuzz.py in a process of its own.

python -m tests.fuzzing FOLDER SEED COUNT
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

from deflicker.cli import main as cli
from tests.awkward import MAKERS

SEEDS = (
    "many streams.mp4", "many streams.mkv", "uneven times.mp4", "uneven times.mkv", "uneven delays.gif",
    "uneven delays.webp", "odd size.webm", "lying count.avi", "size changes.ts", "alpha.mov", "cover.mp4",
    "twelve bits.mkv", "HLG.mov", "two videos.mkv", "turned.mov", "interlaced.mkv",
)  # fmt: skip
HANG_S = 60
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\0\0\xff\xff")
ATOMS = (
    b"moov", b"trak", b"mdia", b"stsd", b"stts", b"ctts", b"stsz", b"stco", b"stsc", b"elst", b"tkhd", b"mvhd", b"mdhd",
    b"avcC", b"hvcC", b"esds", b"chpl", b"udta", b"hdlr", b"mdat", b"ANMF", b"VP8X", b"VP8L", b"RIFF", b"avih", b"strh",
    b"strf", b"idx1", b"movi", b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x15\x49\xa9\x66", b"\x1f\x43\xb6\x75",
)  # fmt: skip
"""Names of boxes, chunks and elements."""

Mutation = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, dice: random.Random) -> None:
    """Some bytes become others."""
    for _ in range(dice.choice((1, 4, 30))):
        data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    """The end is missing."""
    del data[dice.randrange(1, len(data)) :]


def blank(data: bytearray, dice: random.Random) -> None:
    """A stretch is zero."""
    at = dice.randrange(len(data))
    end = min(len(data), at + dice.choice((8, 100, 2000)))
    data[at:end] = bytes(end - at)


def repeat(data: bytearray, dice: random.Random) -> None:
    """A stretch is there twice, or moved."""
    at = dice.randrange(len(data))
    piece = data[at : at + dice.choice((8, 100, 2000))]
    goal = dice.randrange(len(data))
    data[goal:goal] = piece


def drop(data: bytearray, dice: random.Random) -> None:
    """A stretch is missing."""
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 16, 500))]
    data += b"\0" * (not data)


def exaggerate(data: bytearray, dice: random.Random) -> None:
    """A number in the header becomes extreme."""
    at = dice.randrange(min(len(data), 3000))
    data[at : at + 4] = dice.choice(EXTREMES)


def twist(data: bytearray, dice: random.Random) -> None:
    """A box lies about its size, or about the first thing in it."""
    places = [at for name in ATOMS if (at := data.find(name)) >= 4]
    if not places:
        return exaggerate(data, dice)
    at = dice.choice(places) + dice.choice((-4, 4, 8, 12, 16, 20))
    data[at : at + 4] = dice.choice(EXTREMES)


MUTATIONS: tuple[Mutation, ...] = (flip, cut, blank, repeat, drop, exaggerate, twist, twist)
RUNS = ([], ["--start", "0"], ["--strict"], ["--start", "0.1", "--end", "8f"], ["--max-memory", "2G"])


def mutated(original: bytes, dice: random.Random) -> bytes:
    """A broken copy."""
    data = bytearray(original)
    for _ in range(dice.choice((1, 1, 2))):
        dice.choice(MUTATIONS)(data, dice)
    return bytes(data)


def run(words: list[str]) -> tuple[int, str]:
    """Exit code and what the command said."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.main(words)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()


def main(folder: Path, seed: int, count: int) -> None:
    """One line of JSON before each run, one after it."""
    originals = {name: MAKERS[name](folder / name).read_bytes() for name in SEEDS}
    for path in folder.iterdir():
        path.unlink()
    dice = random.Random(seed)
    for number in range(count):
        name = dice.choice(SEEDS)
        source = folder / f"{number}{Path(name).suffix}"
        source.write_bytes(mutated(originals[name], dice))
        target = folder / f"out{dice.choice(('.mp4', '.mkv', source.suffix)).replace('webp', 'mov')}"
        words = [str(source), str(target), "--strength", "0", *dice.choice(RUNS)]
        print(json.dumps({"run": number, "of": name, "words": words[2:]}), flush=True)
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        code, said = run(words)
        faulthandler.cancel_dump_traceback_later()
        left = sorted(path.name for path in folder.iterdir() if path.is_file() and path not in (source, target))
        there = target.exists()
        print(json.dumps({"code": code, "said": said[-600:], "left": left, "there": there}), flush=True)
        good = code in (0, 2, 3, 4) and there == (code == 0) and not left
        if not good:  # kept to look at
            (folder / "bad").mkdir(exist_ok=True)
            source.rename(folder / "bad" / source.name)
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

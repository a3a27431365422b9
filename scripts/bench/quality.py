"""Every clip × kind of flicker × seed × method, scored against the truth; and real flicker, which has none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from . import clips, flicker, motion, oracle, peers, perception, scores, tool

INPUT = "input"
SEEDLESS = frozenset({"none", "fade"})
"""Kinds that draw no random numbers: one seed is enough."""


@dataclass(frozen=True)
class Plan:
    """What to run."""

    kinds: Sequence[str]
    seeds: Sequence[int]
    frames: int
    width: int
    tools: Mapping[str, Sequence[str]]
    """The product's runs by name, with the options of each."""
    peers: Sequence[str]
    h264: Sequence[bool] = (False,)
    """Whether to pass the flickering clip through H.264 at crf 20 first; both ways one after the other."""
    lpips: bool = True


@dataclass(frozen=True)
class Row:
    """One method on one flickering clip."""

    clip: str
    kind: str
    seed: int
    h264: bool
    method: str
    frames: int
    start: int
    """First frame of the cut, in the video."""
    seconds: float
    """Wall time of the method, for orientation: other work may share the machine."""
    scores: scores.Scores
    oracle: float
    """`oracle.oracle_psnr` of the input."""

    @property
    def what(self) -> str:
        """The kind of flicker, and whether it went through H.264."""
        return f"{self.kind}, H.264" if self.h264 else self.kind

    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k != "scores"} | self.scores.to_dict()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """The way back of `to_dict`."""
        measured = {each.name for each in fields(scores.Scores)}
        found = scores.Scores(**{k: v for k, v in values.items() if k in measured})
        return cls(scores=found, **{k: v for k, v in values.items() if k not in measured})


def run(paths: Sequence[Path], plan: Plan, folder: Path) -> Iterator[Row]:
    """Score everything; scratch files go into `folder`. A row is given as soon as it is known."""
    for path in paths:
        clip = clips.load(path, plan.frames, plan.width)
        for kind in plan.kinds:
            for seed in plan.seeds[:1] if kind in SEEDLESS else plan.seeds:
                for h264 in plan.h264:
                    yield from _one(clip, kind, seed, h264, plan, folder)


def _one(clip: clips.Clip, kind: str, seed: int, h264: bool, plan: Plan, folder: Path) -> Iterator[Row]:
    flickering, truth = (clips.to_8_bits(each) for each in flicker.add(kind, clip.frames, seed))
    source, target = folder / "in.mkv", folder / "out.mkv"
    shown = clips.through_h264(folder / "h264.mkv", truth) if h264 else truth
    if h264:
        flickering = clips.through_h264(folder / "h264.mkv", flickering)
    clips.write(source, flickering)
    truth_motion = _motion_of(clip)
    best = oracle.oracle_psnr(flickering, truth, truth_motion, texture=kind in oracle.TEXTURE_KINDS, shown=shown)
    seen = lru_cache(maxsize=1)(lambda: motion.estimate(flickering, motion.FLICKERING_SIDE_PX))
    perceived = perception.Perception(truth, perception.network()) if plan.lpips else None

    def row(method: str, result: Tensor, seconds: float) -> Row:
        found = scores.score(result, truth, truth_motion, perceived)
        return Row(clip.name, kind, seed, h264, method, len(truth), clip.start, seconds, found, best)

    yield row(INPUT, flickering, 0.0)
    for name, options in plan.tools.items():
        started = time.perf_counter()
        tool.run(source, target, *options)
        seconds = time.perf_counter() - started
        yield row(name, clips.read(target), seconds)
    for name in plan.peers:
        started = time.perf_counter()
        result = clips.to_8_bits(peers.PEERS[name](flickering, seen))
        yield row(name, result, time.perf_counter() - started)


def joined(files: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of several runs, as `benchmark.py --json` wrote them; of equal rows the last one counts.

    The product's runs with another preset than the first file's are named after it.
    """
    first, kept = files[0]["settings"]["preset"], {}
    for each in files:
        preset = each["settings"]["preset"]
        for row in map(Row.from_dict, each["rows"]):
            is_other = row.method == INPUT or row.method in peers.PEERS
            row = row if is_other or preset == first else replace(row, method=f"{row.method}, {preset}")
            kept[row.clip, row.kind, row.h264, row.seed, row.start, row.frames, row.method] = row
    return list(kept.values())


@lru_cache(maxsize=1)
def _motion_of(clip: clips.Clip) -> motion.Motion:
    return motion.estimate(clip.frames)


# --- Real flicker, without truth --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealRow:
    """What the product did to one clip that flickers by itself."""

    clip: str
    method: str
    frames: int
    start: int
    flicker_whole: tuple[float, float]
    """The Report's index of the whole picture's tone before and after, 8-bit levels."""
    flicker_local: tuple[float, float]
    ewarp: tuple[float, float]
    """`scores.ewarp` before and after, both with flow and visibility of the output."""
    sharpness: float
    """Gradient energy out / in."""
    psnr_to_input: float
    """How much was changed."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_real(paths: Sequence[Path], plan: Plan, folder: Path) -> Iterator[RealRow]:
    """Run the product on clips that flicker by themselves, cut and made small as the clean ones are."""
    source, target = folder / "in.mkv", folder / "out.mkv"
    for path in paths:
        clip = clips.load(path, plan.frames, plan.width)
        clips.write(source, clip.frames)
        for name, options in plan.tools.items():
            report = tool.run(source, target, *options)
            result = clips.read(target)
            steady = motion.estimate(result)
            before, after = (report[key] or {"whole": 0.0, "local": 0.0} for key in ("flicker_before", "flicker_after"))
            yield RealRow(
                clip=clip.name,
                method=name,
                frames=len(result),
                start=clip.start,
                flicker_whole=(before["whole"], after["whole"]),
                flicker_local=(before["local"], after["local"]),
                ewarp=(scores.ewarp(clip.frames, steady), scores.ewarp(result, steady)),
                sharpness=scores.sharpness(result, clip.frames),
                psnr_to_input=scores.psnr(result, clip.frames),
            )

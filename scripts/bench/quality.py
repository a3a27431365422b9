"""Every clip × kind of flicker × seed × method, scored against the truth; and real flicker, which has none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from . import clips, flicker, motion, peers, scores, tool

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
    h264: bool
    """Pass the flickering clip through H.264 at crf 20 first."""


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
    oracle: float | None
    """`scores.oracle_psnr` of the input; None for kinds that leave tone alone."""

    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k != "scores"} | self.scores.to_dict()


def run(paths: Sequence[Path], plan: Plan, folder: Path) -> Iterator[Row]:
    """Score everything; scratch files go into `folder`. A row is given as soon as it is known."""
    for path in paths:
        clip = clips.load(path, plan.frames, plan.width)
        for kind in plan.kinds:
            for seed in plan.seeds[:1] if kind in SEEDLESS else plan.seeds:
                yield from _one(clip, kind, seed, plan, folder)


def _one(clip: clips.Clip, kind: str, seed: int, plan: Plan, folder: Path) -> Iterator[Row]:
    flickering, truth = (clips.to_8_bits(each) for each in flicker.add(kind, clip.frames, seed))
    source, target = folder / "in.mkv", folder / "out.mkv"
    if plan.h264:
        flickering = clips.through_h264(folder / "h264.mkv", flickering)
    clips.write(source, flickering)
    truth_motion = _motion_of(clip)
    oracle = scores.oracle_psnr(flickering, truth) if kind in scores.TONE_KINDS else None
    seen = lru_cache(maxsize=1)(lambda: motion.estimate(flickering, motion.FLICKERING_SIDE_PX))

    def row(method: str, result: Tensor, seconds: float) -> Row:
        found = scores.score(result, truth, truth_motion)
        return Row(
            clip.name, kind, seed, plan.h264, method, len(truth), clip.start, seconds, found, oracle
        )  # fmt: skip

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

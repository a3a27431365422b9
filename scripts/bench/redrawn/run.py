"""Every pair of a redrawn clip and its source × method, with scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import clips, motion, perception, tool
from .methods import BLIND, GUIDED
from .scores import Judge, Scores, far_places
from .styles import redrawn

SOURCE, INPUT = "source", "input"
OURS = {"deflicker": ("--guide",), "deflicker, blind": ("--texture", "hold")}
"""The product with the source, and without."""


@dataclass(frozen=True)
class Plan:
    """What to run."""

    pairs: Sequence[tuple[Path, Path]]
    """Redrawn videos, each with its source."""
    clips: Sequence[Path]
    """Clean videos that are redrawn in each of the styles."""
    styles: Sequence[str]
    seeds: Sequence[int]
    frames: int
    width: int
    preset: str
    lpips: bool


@dataclass(frozen=True)
class Row:
    """One method on one pair."""

    pair: str
    method: str
    frames: int
    seconds: float
    """Wall time of the method, for orientation: other work may share the machine."""
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """The way back of `to_dict`."""
        return cls(**{**values, "scores": Scores(**values["scores"])})


@dataclass(frozen=True, eq=False)
class _Pair:
    name: str
    drawn: Tensor
    source: Tensor


def run(plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure everything; scratch files go into `folder`. A row is given as soon as it is known."""
    for pair in _pairs(plan):
        yield from _one(pair, plan, folder)


def _pairs(plan: Plan) -> Iterator[_Pair]:
    for edit, path in plan.pairs:
        drawn, source = (clips.load(each, plan.frames, plan.width) for each in (edit, path))
        if drawn.frames.shape != source.frames.shape or drawn.start != source.start:
            raise ValueError(f"{edit} and {path} differ in size or length")
        yield _Pair(drawn.name, drawn.frames, source.frames)
    for path in plan.clips:
        clean = clips.load(path, plan.frames, plan.width)
        for style in plan.styles:
            for seed in plan.seeds:
                drawn = clips.to_8_bits(redrawn(clean.frames, style, seed))
                yield _Pair(f"{clean.name}, {style}, seed {seed}", drawn, clean.frames)


def _one(pair: _Pair, plan: Plan, folder: Path) -> Iterator[Row]:
    near = motion.estimate(pair.source)
    perceived = perception.Perception(pair.drawn, perception.network()) if plan.lpips else None
    far = motion.from_first(pair.source[0], pair.source[far_places(len(pair.source))])
    judge = Judge(pair.drawn, near, far, perceived)

    def row(method: str, result: Tensor, seconds: float) -> Row:
        return Row(pair.name, method, len(result), seconds, judge.scores(clips.to_8_bits(result)))

    yield row(SOURCE, pair.source, 0.0)
    yield row(INPUT, pair.drawn, 0.0)
    given, guide, target = folder / "in.mkv", folder / "guide.mkv", folder / "out.mkv"
    clips.write(given, pair.drawn)
    clips.write(guide, pair.source)
    for method, options in OURS.items():
        started = time.perf_counter()
        further = (str(guide),) if "--guide" in options else ()
        tool.run(given, target, "--preset", plan.preset, *options, *further)
        seconds = time.perf_counter() - started
        yield row(method, clips.read(target), seconds)
    seen = motion.estimate(pair.drawn, motion.FLICKERING_SIDE_PX)
    for methods, along in ((GUIDED, near), (BLIND, seen)):
        for method, hold in methods.items():
            started = time.perf_counter()
            result = hold(pair.drawn, pair.source, along)
            yield row(method, result, time.perf_counter() - started)

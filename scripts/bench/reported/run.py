"""Every clip × kind × strength × seed × method, with what each criterion measures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import clips, motion, peers, tool
from ..quality import INPUT
from ..scores import psnr_pooled
from .case import Case
from .kinds import KINDS, Kind
from .light import grey

OURS = "deflicker"


@dataclass(frozen=True)
class Plan:
    """What to run."""

    kinds: Sequence[str]
    strengths: Sequence[float]
    seeds: Sequence[int]
    frames: int
    width: int
    preset: str
    methods: Sequence[str]
    """`OURS` and names of `peers.PEERS`."""
    keep: Path | None = None
    """A folder for input, truth and the product's output of each case."""


@dataclass(frozen=True)
class Row:
    """One method on one case."""

    clip: str
    kind: str
    strength: float
    seed: int
    method: str
    frames: int
    start: int
    """First frame of the cut, in the video."""
    seconds: float
    """Wall time of the method, for orientation: other work may share the machine."""
    psnr: float
    """PSNR of all frames together, dB."""
    luma_psnr: float
    """The same of luma alone."""
    measured: Mapping[str, float]
    """What each criterion of the kind measures, by its name."""

    @property
    def key(self) -> tuple[str, str, float, int, str]:
        """What tells rows apart."""
        return self.clip, self.kind, self.strength, self.seed, self.method

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """The way back of `to_dict`."""
        return cls(**values)


def run(paths: Sequence[Path], plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure everything; scratch files go into `folder`. A row is given as soon as it is known."""
    for path in paths:
        clip = clips.load(path, plan.frames, plan.width)
        for name in plan.kinds:
            for strength in plan.strengths:
                for seed in plan.seeds:
                    yield from _one(clip, name, (strength, seed), plan, folder)


def stored(case: Case, kind: Kind, path: Path) -> Case:
    """The case as 8 bits hold it, its flickering clip written to `path`."""
    flickering, truth = (clips.to_8_bits(each) for each in (case.flickering, case.truth))
    if kind.untagged:
        truth = clips.through_untagged(path, truth)
        flickering = clips.through_untagged(path, flickering)
    else:
        clips.write(path, flickering)
    return Case(flickering, truth, case.stays, case.marked, case.drawing)


def _one(clip: clips.Clip, name: str, draw: tuple[float, int], plan: Plan, folder: Path) -> Iterator[Row]:
    (strength, seed), kind = draw, KINDS[name]
    if plan.keep:
        folder = plan.keep / f"{clip.name}-{name}-{strength:g}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
    source, target = folder / "in.mkv", folder / "out.mkv"
    case = stored(kind.case(clip.frames, seed, strength), kind, source)
    if plan.keep:
        clips.write(folder / "truth.mkv", case.truth)
    seen = lru_cache(maxsize=1)(lambda: motion.estimate(case.flickering, motion.FLICKERING_SIDE_PX))

    def row(method: str, result: Tensor, seconds: float) -> Row:
        if result.shape != case.truth.shape:
            raise ValueError(f"{method} gives another shape than the truth: {result.shape} and {case.truth.shape}")
        measured = {each.name: each.measure(case, result) for each in kind.all_criteria()}
        psnr, luma = psnr_pooled(result, case.truth), psnr_pooled(grey(result), grey(case.truth))
        where = (clip.name, name, strength, seed)
        return Row(*where, method, len(case.truth), clip.start, seconds, psnr, luma, measured)

    yield row(INPUT, case.flickering, 0.0)
    for method in plan.methods:
        started = time.perf_counter()
        if method == OURS:
            tool.run(source, target, "--preset", plan.preset, *kind.options)
            seconds = time.perf_counter() - started
            result = clips.to_8_bits(clips.read(target))
        else:
            result = clips.to_8_bits(peers.PEERS[method](case.flickering, seen))
            seconds = time.perf_counter() - started
        yield row(method, result, seconds)

"""Build the data set, one draw after another: a cut of a clip, flicker, motion, crops. Goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator

from deflicker.core import weights
from deflicker.core.presets import PRESETS
from deflicker.correction.texture.autoencoder.loading import OWN, load_autoencoder
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.raft.network import FLOW_NETWORKS

from .flicker import Flicker, chance
from .samples import Aligned, read, samples_of, store

SIDES_PX = (320, 400, 480)
"""Longer sides at which clips are seen."""


@dataclass(frozen=True)
class Cut:
    """What is taken from a clip for a draw."""

    frames: int
    groups: int
    """Of pictures in a row."""
    crops: int
    """Of each group."""
    in_a_row: int
    """Pictures of a group."""


CUTS = {"short": Cut(13, 4, 10, 3), "long": Cut(15, 3, 12, 7)}
"""Short rows are quicker to train on; long ones show what becomes of a picture that is remembered for long."""


@dataclass(frozen=True)
class Draws:
    """Which draws to make: `first … first + count - 1`, each drawn with its own number as seed."""

    first: int
    count: int
    cut: Cut
    without: frozenset[str] = frozenset()
    """Kinds of flicker to leave out."""


def build(clips: Sequence[Path], folder: Path, draws: Draws) -> None:
    """Write draws into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = load_autoencoder(OWN, torch.device("cpu"), torch.float32)
    preset = PRESETS["balanced"]
    network = FlowEstimator(weights.load(FLOW_NETWORKS[preset.flow_network], offline=True), updates=preset.flow_updates)
    flicker, started = Flicker(codec, draws.without), time.monotonic()
    for number in range(draws.first, draws.first + draws.count):
        path = folder / f"{number:05d}.npz"
        if path.exists():
            continue
        rng = torch.Generator().manual_seed(1_000_003 + number)
        with torch.no_grad():
            clip = clips[number % len(clips)]
            what = _draw(clip, path, draws.cut, flicker, network, rng)
        print(f"{number} {what} {time.monotonic() - started:.0f} s", flush=True)


def _draw(clip: Path, path: Path, cut: Cut, flicker: Flicker, network: FlowEstimator, rng: Generator) -> str:
    side = SIDES_PX[int(torch.randint(len(SIDES_PX), (), generator=rng))]
    start = int(torch.randint(120, (), generator=rng))
    every = 2 if chance(rng, 0.15) else 1
    clean = None
    while clean is None and start >= 0:
        clean = read(clip, start, cut.frames, side, every)
        start = start // 2 if start > 0 else -1
    if clean is None:  # it is shorter
        return f"{clip.stem} too short"
    if chance(rng, 0.5):
        clean = clean.flip(-1)
    name, flickering = flicker.of(clean, rng)
    aligned = Aligned(flickering, network, PRESETS["balanced"].flow_max_side_px)
    begins = torch.randperm(cut.frames - cut.in_a_row + 1, generator=rng)[: cut.groups].tolist()
    rows = [range(at, at + cut.in_a_row) for at in begins]
    samples = [one for row in rows for one in samples_of(aligned, clean, row, cut.crops, rng)]
    store(path, samples)
    loss = (flickering - clean).square().mean().clamp_min(1e-9).log10() * -10
    return f"{clip.stem} {name} {loss:.1f} dB, {len(samples)} samples"

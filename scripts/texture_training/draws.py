"""Build the data set, one draw after another: a cut of a clip, flicker, motion, crops. Goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator

from deflicker.core import weights
from deflicker.core.presets import PRESETS
from deflicker.correction.texture.autoencoder.loading import OWN, load_autoencoder
from deflicker.motion.flow import FlowEstimator
from deflicker.motion.raft.network import FLOW_NETWORKS

from .flicker import Flicker, chance
from .samples import IN_A_ROW, Aligned, read, samples_of, store

FRAMES = 13
"""Of each cut."""
SIDES_PX = (320, 400, 480)
"""Longer sides at which clips are seen."""
GROUPS, CROPS = 4, 10
"""Groups of pictures in a row taken from each cut, and crops of each."""


def build(clips: Sequence[Path], folder: Path, first: int, draws: int, without: frozenset[str] = frozenset()) -> None:
    """Write draws `first … first + draws - 1` into a folder, each drawn with its own number as seed."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = load_autoencoder(OWN, torch.device("cpu"), torch.float32)
    preset = PRESETS["balanced"]
    network = FlowEstimator(weights.load(FLOW_NETWORKS[preset.flow_network], offline=True), updates=preset.flow_updates)
    flicker, started = Flicker(codec, without), time.monotonic()
    for number in range(first, first + draws):
        path = folder / f"{number:05d}.npz"
        if path.exists():
            continue
        rng = torch.Generator().manual_seed(1_000_003 + number)
        with torch.no_grad():
            what = _draw(clips, path, number, flicker, network, rng)
        print(f"{number} {what} {time.monotonic() - started:.0f} s", flush=True)


def _draw(
    clips: Sequence[Path], path: Path, number: int, flicker: Flicker, network: FlowEstimator, rng: Generator
) -> str:
    clip = clips[number % len(clips)]
    side = SIDES_PX[int(torch.randint(len(SIDES_PX), (), generator=rng))]
    start = int(torch.randint(120, (), generator=rng))
    every = 2 if chance(rng, 0.15) else 1
    clean = None
    while clean is None and start >= 0:
        clean = read(clip, start, FRAMES, side, every)
        start = start // 2 if start > 0 else -1
    if clean is None:  # it is shorter
        return f"{clip.stem} too short"
    if chance(rng, 0.5):
        clean = clean.flip(-1)
    name, flickering = flicker.of(clean, rng)
    aligned = Aligned(flickering, network, PRESETS["balanced"].flow_max_side_px)
    latest = torch.randperm(FRAMES - IN_A_ROW + 1, generator=rng)[:GROUPS] + IN_A_ROW - 1
    samples = [one for at in latest.tolist() for one in samples_of(aligned, clean, at, CROPS, rng)]
    store(path, samples)
    loss = (flickering - clean).square().mean().clamp_min(1e-9).log10() * -10
    return f"{clip.stem} {name} {loss:.1f} dB, {len(samples)} samples"

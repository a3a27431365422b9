#!/usr/bin/env python
"""Train the temporal attention of texture on clean clips, to which flicker is added.

    python scripts/train_texture.py data CLIP… --folder DATA --draws 48
    python scripts/train_texture.py fit --folder DATA --out attention.safetensors --steps 8000 --batch 4

`data` takes a cut of a clip for each draw, lets it flicker, finds motion as the product does, and stores aligned crops:
about 15 s a draw on one CPU core. `fit` trains on them: 0.35 s a step of four crops on one core, so that 8000 steps
take 50 minutes. Both stop anywhere and go on where they stopped when they are called again; a GPU is used where
there is one. The same seed, data and thread count give the same weights on one machine. Nothing is downloaded but the
weights of RAFT, where they are not there yet. The recipe of the weights in the package is in
`deflicker/correction/texture/MODEL_CARD.md`, whose figures `scripts/benchmark.py` gives again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from texture_training import draws, fitting
from texture_training.flicker import SHARES
from texture_training.samples import stored


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.run(options)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    one = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    commands = one.add_subparsers(required=True, metavar="data|fit")
    data = commands.add_parser("data", help="store aligned crops of flickering clips")
    data.add_argument("clips", nargs="+", type=Path)
    data.add_argument("--first", type=int, default=0, help="number of the first draw; each is drawn from its own")
    data.add_argument("--draws", type=int, default=48)
    data.add_argument("--rows", choices=list(draws.CUTS), default="short", help="of pictures (default: short)")
    data.add_argument("--without", action="append", default=[], choices=list(SHARES), help="a kind to leave out")
    data.set_defaults(run=build)
    fit = commands.add_parser("fit", help="train on them")
    fit.add_argument("--out", type=Path, required=True, help="the weights; a checkpoint is kept beside them")
    fit.add_argument("--start", type=Path, help="a checkpoint whose weights to begin with, the schedule anew")
    fit.add_argument("--hours", type=float, default=24.0, help="end after this time; call again to go on")
    fit.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    recipe = fitting.Recipe()
    fit.add_argument("--width", type=int, default=recipe.width)
    fit.add_argument("--steps", type=int, default=recipe.steps)
    fit.add_argument("--batch", type=int, default=recipe.batch)
    fit.add_argument("--rate", type=float, default=recipe.rate)
    fit.add_argument("--sharpness", type=float, default=recipe.sharpness, help="weight of that loss")
    fit.add_argument("--seed", type=int, default=recipe.seed)
    fit.set_defaults(run=train)
    for command in (data, fit):
        command.add_argument("--folder", type=Path, required=True, help="where the crops are")
        command.add_argument("--threads", type=int, default=1)
    return one


def build(options: argparse.Namespace) -> None:
    what = draws.Draws(options.first, options.draws, draws.CUTS[options.rows], frozenset(options.without))
    draws.build(options.clips, options.folder, what)


def train(options: argparse.Namespace) -> None:
    recipe = fitting.Recipe(
        width=options.width,
        steps=options.steps,
        batch=options.batch,
        rate=options.rate,
        sharpness=options.sharpness,
        seed=options.seed,
    )
    under_way = fitting.Fitting(recipe, torch.device(options.device))
    if (checkpoint := options.out.with_suffix(".checkpoint")).exists():
        under_way.resume(checkpoint)
    elif options.start is not None:
        under_way.begin_with(options.start)
    data = stored(sorted(options.folder.glob("*.npz")))
    parameters = sum(each.numel() for each in under_way.network.parameters())
    print(f"{len(data.stack)} samples, {parameters} parameters, from step {under_way.step}", flush=True)
    fitting.fit(under_way, data, options.out, 3600 * options.hours)


if __name__ == "__main__":
    main()

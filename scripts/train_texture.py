"""Train the temporal attention of texture on clean clips, to which flicker is added.

python scripts/train_texture.py data CLIPS … --folder DATA --draws 400
python scripts/train_texture.py fit --folder DATA --out small.safetensors
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from texture_training import draws, fitting
from texture_training.samples import stored


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    sub = parser.add_subparsers(required=True)
    data = sub.add_parser("data")
    data.add_argument("clips", nargs="+", type=Path)
    data.add_argument("--folder", type=Path, required=True)
    data.add_argument("--first", type=int, default=0)
    data.add_argument("--draws", type=int, default=400)
    data.add_argument("--threads", type=int, default=1)
    data.set_defaults(run=build)
    one = sub.add_parser("fit")
    one.add_argument("--folder", type=Path, required=True)
    one.add_argument("--out", type=Path, required=True)
    one.add_argument("--hours", type=float, default=24.0)
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--width", type=int, default=16)
    one.add_argument("--steps", type=int, default=20000)
    one.add_argument("--batch", type=int, default=8)
    one.add_argument("--rate", type=float, default=2e-3)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--start", type=Path, help="a checkpoint whose weights to begin with, the schedule anew")
    one.set_defaults(run=fit)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.run(options)


def build(options):
    draws.build(options.clips, options.folder, options.first, options.draws)


def fit(options):
    recipe = fitting.Recipe(
        width=options.width, steps=options.steps, batch=options.batch, rate=options.rate, seed=options.seed
    )
    one = fitting.Fitting(recipe, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if options.out.with_suffix(".checkpoint").exists():
        one.resume(options.out.with_suffix(".checkpoint"))
    elif options.start is not None:
        one.begin_with(options.start)
    data = stored(sorted(options.folder.glob("*.npz")))
    print(len(data.stack), sum(p.numel() for p in one.network.parameters()), flush=True)
    fitting.fit(one, data, options.out, 3600 * options.hours)


if __name__ == "__main__":
    main()

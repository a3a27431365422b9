#!/usr/bin/env python
"""Texture in pixels, in latents and in both, against the truth: the tables of docs/results/latent.md.

    python scripts/measure_latent.py --clips FOLDER --kinds boil,drift+boil --seeds 31 --json latent.json
    python scripts/measure_latent.py --show latent.json
    python scripts/measure_latent.py --clips FOLDER --codecs own,../taef2 --codec-table

Clips and flicker are `benchmark.py`'s; of kinds joined by `+` each is put on what the one before it made, and where
drift is among them it runs with `--anchor 1`. Motion and tone are found once for a clip; then the second pass, which is
all that differs, runs on the same frames for each space, with one thread. Prints a row as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from bench import clips, flicker, motion, scores, spaces, tables
from torch import Tensor

from deflicker import Settings
from deflicker.core import weights
from deflicker.correction.texture.autoencoder.codec import FACTOR, Codec
from deflicker.correction.texture.autoencoder.loading import load_autoencoder
from deflicker.correction.texture.latent import LatentTexture
from deflicker.correction.texture.pictures import Sight
from deflicker.correction.texture.space import Renewal
from deflicker.correction.texture.stabilize import TextureStage
from deflicker.correction.types import FrameRecord, SpaceDecision
from deflicker.metrics.lpips import ALEXNET, Perceptual
from deflicker.motion.warp import warp
from deflicker.pipeline.run_context import Run, VideoSize
from deflicker.pipeline.source_pictures import TensorPicture, picture_of
from deflicker.pipeline.stages import Step, build_steps, records, run_stages

SHIFTS_PX = ((0.5, 0.0), (2.0, -1.0), (3.7, 2.3), (4.0, 4.0), (-6.4, 5.1))
"""Motion at which equivariance is measured."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if options.show:
        shown = [row for path in options.show for row in json.loads(path.read_text(encoding="utf-8"))]
        print(tables.markdown(spaces.table(shown)), *spaces.verdict(shown), sep="\n")
        return
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    work = codec_rows(options) if options.codec_table else rows_of(options)
    for row in work:
        rows.append(row)
        print(
            "  ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()), flush=True
        )
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    one = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    one.add_argument("--clips", nargs="+", type=Path, default=[], help="videos or folders (default: the clean samples)")
    one.add_argument("--kinds", type=lambda text: text.split(","), default=["boil", "mixed", "drift+boil"])
    one.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[31])
    one.add_argument("--frames", type=int, default=16)
    one.add_argument("--width", type=int, default=480)
    one.add_argument("--spaces", type=lambda text: text.split(","), default=list(spaces.SPACES))
    one.add_argument("--codecs", type=lambda text: text.split(","), default=["own"])
    one.add_argument("--codec-table", action="store_true", help="round trip and equivariance of the codecs instead")
    one.add_argument("--no-hold", dest="hold", action="store_false", help="anchor drift's tone alone, not its texture")
    one.add_argument("--json", type=Path)
    one.add_argument("--show", nargs="+", type=Path, help="only the table, and how often `auto` was right, of --json's")
    return one


# --- Spaces -----------------------------------------------------------------------------------------------------------


def rows_of(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    judge = Perceptual(weights.load(ALEXNET))
    for path in clips.clean_clips(options.clips):
        clip = clips.load(path, options.frames, options.width)
        seen = motion.estimate(clip.frames)
        for kind in options.kinds:
            for seed in options.seeds:
                flickering, truth = (clips.to_8_bits(each) for each in flickered(kind, clip.frames, seed))
                context, toned = toned_frames(flickering, Settings(anchor=float("drift" in kind)))
                results = {"input": (flickering, 0.0, None)} | {
                    f"{space} {codec}".removesuffix(" own"): second_pass(
                        context, toned, space, codec, hold=float(options.hold and "drift" in kind)
                    )
                    for codec in options.codecs
                    for space in options.spaces
                    if space != "pixel" or codec == options.codecs[0]
                }
                for method, (result, seconds, chosen) in results.items():
                    found = scores.score(result, truth, seen)
                    pooled = bool(tables.POOLED_KINDS & set(kind.split("+")))
                    yield {
                        "clip": clip.name, "kind": kind, "seed": seed, "method": method,
                        "psnr": found.psnr_pooled if pooled else found.psnr,
                        "temporal": found.temporal_psnr, "lpips": lpips(judge, result, truth),
                        "sharpness": found.sharpness, "ewarp": found.ewarp, "seconds": seconds / len(truth),
                        "chosen": chosen.space if chosen else "", "boil": chosen.boil_levels if chosen else 0.0,
                    }  # fmt: skip


def flickered(kind: str, clean: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """(flickering, truth) of a kind, or of several joined by `+`, one put on what the other made."""
    first, *more = kind.split("+")
    flickering, truth = flicker.add(first, clean, seed)
    for each in more:
        flickering, _ = flicker.add(each, flickering, seed)
    return flickering, truth


@torch.no_grad()
def toned_frames(frames: Tensor, settings: Settings) -> tuple[Run, list[FrameRecord]]:
    """Frames `[T, 3, H, W]` with their motion and tone, before the second pass."""
    run = Run.prepare(VideoSize(*frames.shape[-2:], frames[0].nbytes), settings, None, lambda _: None)
    pictures = (picture_of(frame, number, excluded=False) for number, frame in enumerate(frames))
    steps = [step for step in build_steps(run) if step.name in ("motion", "tone")]
    return run, staged(records(pictures, run.proxy_size, run.device.torch_device), steps, run)


def staged(frames: Iterable[FrameRecord], steps: list[Step], run: Run) -> list[FrameRecord]:
    found = run_stages(frames, steps, run.device.torch_device, threads=False)
    return [each for each in found if isinstance(each, FrameRecord)]


@torch.no_grad()
def second_pass(
    run: Run, toned: Sequence[FrameRecord], space: str, codec: str, *, hold: float
) -> tuple[Tensor, float, SpaceDecision | None]:
    """The result in 8 bits, the seconds of the pass, and what was chosen, where anything boils."""
    renewal, device = None, run.device.torch_device
    if space != "pixel":
        found = load_autoencoder(codec, device, run.device.dtype)
        renewal = Renewal(LatentTexture(found), space, hold)  # type: ignore[arg-type]
    started = time.process_time()
    stage = TextureStage(Sight((run.size.height, run.size.width), device, run.preset.texture_reach), renewal=renewal)
    done = staged(toned, [Step("texture", stage)], run)
    seconds = time.process_time() - started
    chosen = next((frame.texture for frame in done if frame.texture), None)
    pictures = [each.picture for each in done]
    results = [
        picture.corrected(each.correction)
        for picture, each in zip(pictures, done, strict=True)
        if isinstance(picture, TensorPicture)
    ]
    return clips.to_8_bits(torch.stack(results)), seconds, chosen


def lpips(judge: Perceptual, result: Tensor, truth: Tensor) -> float:
    """Mean LPIPS to the truth."""
    distances = [
        judge.distance(judge.features(a[None]), judge.features(b[None])) for a, b in zip(result, truth, strict=True)
    ]
    return float(torch.cat(distances).mean())


# --- Codecs -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def codec_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Of each codec and clip: PSNR of D(E(y)) to y, of D(W z) to W D(z), and of D(E(W y)) to W D(E(y))."""
    for path in clips.clean_clips(options.clips):
        frames = clips.load(path, 2, options.width).frames[:1]
        for name in options.codecs:
            codec = load_autoencoder(name, torch.device("cpu"), torch.float32)
            back = codec.decode(codec.encode(frames), (frames.shape[-2], frames.shape[-1]))
            pairs = [equivariance(codec, frames, shift) for shift in SHIFTS_PX]
            yield {
                "clip": path.stem, "codec": name, "round trip": float(scores.decibels((back - frames).square().mean())),
                "latents warped": sum(a for a, _ in pairs) / len(pairs),
                "frames warped": sum(b for _, b in pairs) / len(pairs),
            }  # fmt: skip


def equivariance(codec: Codec, frames: Tensor, shift_px: tuple[float, float]) -> tuple[float, float]:
    """PSNR of D(W z) and of D(E(W y)) to W D(z), dB, away from the border; W moves everything by `shift_px`."""
    size = frames.shape[-2], frames.shape[-1]
    flow_px = torch.tensor(shift_px).view(1, 2, 1, 1).expand(1, 2, *size).contiguous()
    latents = codec.encode(frames)
    wanted = warp(codec.decode(latents, size), flow_px, "bicubic")
    coarse = F.avg_pool2d(flow_px, FACTOR, ceil_mode=True) / FACTOR
    found = (
        codec.decode(warp(latents, coarse), size),
        codec.decode(codec.encode(warp(frames, flow_px, "bicubic")), size),
    )
    border = slice(4 * FACTOR, -4 * FACTOR)
    first, second = (float(scores.decibels((each - wanted)[..., border, border].square().mean())) for each in found)
    return first, second


if __name__ == "__main__":
    main()

"""Train the autoencoder of `--space latent` on folders of photographs.

    python scripts/train_autoencoder.py PHOTOS [PHOTOS …] --steps 1300 --out own.safetensors

Nothing is downloaded. Photographs are cropped, moved by known motion and given boil that is new in each of several
aligned versions; the network learns three things at once:

* to give a frame back: D(E(y)) ≈ y;
* its job: y + D(mean of E(y_k)) − D(E(y)) ≈ the frame without boil, for aligned versions y_k whose alignment is as
  imperfect as a refined flow's, with and without boil;
* equivariance: D(warp(z)) ≈ warp(D(z)) for motion by fractions of a pixel, z warped on its own grid.

The same photographs, seed, steps and thread count give the same weights on one machine. The recipe of the weights in
the package is in `deflicker/correction/texture/autoencoder/MODEL_CARD.md`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Generator, Tensor

from deflicker.correction.texture.autoencoder.own import FACTOR, OwnAutoencoder
from deflicker.motion.warp import warp

SIDES = (560, 880, 1320)
"""Longer sides at which each photograph is seen, in pixels."""
CROP, MARGIN = 128, 16
"""Side of a crop, and its border that no loss looks at, in pixels."""
VERSIONS = 4
"""Aligned versions of a scene."""
AVERAGE = 0.998
"""Of the running mean of the weights that is kept."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    torch.manual_seed(options.seed)
    rng = torch.Generator().manual_seed(options.seed)
    photographs = load(options.photos)
    network = OwnAutoencoder()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(groups(network), betas=(0.9, 0.98), weight_decay=1e-4)
    started, sums = time.monotonic(), torch.zeros(4)
    for step in range(1, min(options.steps, options.stop) + 1):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * group["share"] * rate_share(step, options.steps)
        losses = losses_of(network, scenes(photographs, options.batch, rng), rng, bf16=options.bf16)
        optimiser.zero_grad()
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        average = min(AVERAGE, step / (step + 20))
        for name, value in network.state_dict().items():
            kept[name].lerp_(value, 1 - average)
        sums += torch.stack(losses).detach()
        if step % options.every == 0 or step in (options.steps, options.stop):
            words = " ".join(f"{value:.5f}" for value in (sums / options.every).tolist())
            print(f"{step:6d} {time.monotonic() - started:7.0f} s  all, back, job, warped: {words}", flush=True)
            sums.zero_()
            save(options.out, kept, seed=options.seed, step=step, steps=options.steps)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    one = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    one.add_argument("photos", nargs="+", type=Path, help="folders of photographs, or photographs")
    one.add_argument("--out", type=Path, default=Path("own.safetensors"))
    one.add_argument("--steps", type=int, default=1300)
    one.add_argument("--stop", type=int, default=1 << 30, help="end after this many steps of the schedule")
    one.add_argument("--batch", type=int, default=6, help="scenes a step")
    one.add_argument("--rate", type=float, default=1e-3, help="learning rate after the first 100 steps")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--every", type=int, default=100, help="steps between two looks at it")
    one.add_argument("--bf16", action="store_true", help="bfloat16 arithmetic, where the processor has it")
    return one


def groups(network: OwnAutoencoder) -> list[dict[str, object]]:
    """What learns, and how fast: the lapped transform, which begins well, slowly."""
    lapped = [network.analysis, network.synthesis]
    rest = [each for each in network.parameters() if all(each is not kernel for kernel in lapped)]
    return [{"params": rest, "share": 1.0}, {"params": lapped, "share": 0.05}]


def rate_share(step: int, steps: int) -> float:
    """Up over the first 100 steps, then down along a cosine."""
    return min(1.0, step / 100) * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2)


def save(path: Path, state: dict[str, Tensor], **about: int) -> None:
    """Weights as float16, the recipe beside them."""
    words = {name: str(value) for name, value in about.items()}
    save_file({name: value.half().contiguous() for name, value in state.items()}, path, words)


# --- What is learnt ---------------------------------------------------------------------------------------------------


def losses_of(network: OwnAutoencoder, clean: Tensor, rng: Generator, *, bf16: bool) -> list[Tensor]:
    """The weighted sum and its three parts, of scenes `[B, 3, H, W]`."""
    versions = boiling_versions(clean, rng)
    shares = torch.rand((len(clean), VERSIONS, 1, 1, 1), generator=rng) + 0.3
    shares[:, 0] += torch.rand((len(clean), 1, 1, 1), generator=rng)
    shares = shares / shares.sum(1, keepdim=True)
    first = versions[:, 0]
    motion = moves(len(clean), clean.shape[-2:], rng)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        latents = network.encode(versions.flatten(0, 1))
        latents = latents.float().unflatten(0, versions.shape[:2])
        mean = (shares * latents).sum(1)
        coarse = F.avg_pool2d(motion, FACTOR) / FACTOR
        moved = warp(latents[:, 0], coarse)
        back, fused, shifted = network.decode(torch.cat([latents[:, 0], mean, moved])).float().chunk(3)
    job = difference(first + fused - back, clean)
    given_back = difference(back, first)
    warped = difference(shifted, warp(back, motion, "bicubic"), margin=2 * MARGIN)
    return [0.5 * given_back + 3 * job + 0.1 * warped, given_back, job, warped]


def difference(found: Tensor, wanted: Tensor, margin: int = MARGIN) -> Tensor:
    """Mean absolute difference, smooth at zero, of pixels and of their gradients, without the border."""
    error = (found - wanted)[..., margin:-margin, margin:-margin]
    parts = error, error.diff(dim=-1), error.diff(dim=-2)
    return sum((part.square() + 1e-5).sqrt().mean() for part in parts)  # type: ignore[return-value]


# --- Scenes -----------------------------------------------------------------------------------------------------------


def load(paths: Sequence[Path]) -> list[np.ndarray]:
    """Every photograph at each size, `[H, W, 3]` uint8."""
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    found = []
    for file in files:
        with Image.open(file) as image:
            picture = image.convert("RGB")
        for side in SIDES:
            shrink = side / max(picture.size)
            size = round(picture.width * shrink), round(picture.height * shrink)
            if shrink <= 1 and min(size) >= CROP:
                found.append(np.array(picture.resize(size, Image.Resampling.LANCZOS)))
    if not found:
        raise SystemExit("no photograph is large enough")
    print(f"{len(files)} photographs, {len(found)} with their smaller copies", flush=True)
    return found


def scenes(photographs: Sequence[np.ndarray], count: int, rng: Generator) -> Tensor:
    """Random crops, turned and mirrored, some darker or brighter: `[B, 3, CROP, CROP]` in [0, 1]."""

    def below(limit: int) -> int:
        return int(torch.randint(limit, (), generator=rng))

    crops = []
    while len(crops) < count:
        picture = photographs[below(len(photographs))]
        top, left = below(picture.shape[0] - CROP + 1), below(picture.shape[1] - CROP + 1)
        crop = torch.from_numpy(picture[top : top + CROP, left : left + CROP]).permute(2, 0, 1).float() / 255
        if float(crop.std((-2, -1)).mean()) < 0.02 and below(4):  # mostly flat: sky, say
            continue
        crop = torch.rot90(crop, below(4), (-2, -1))
        crops.append(crop.flip(-1) if below(2) else crop)
    gain = 1 + 0.3 * torch.randn((count, 1, 1, 1), generator=rng).clamp(-2, 2)
    return (torch.stack(crops) * gain).clamp(0, 1)


def boiling_versions(clean: Tensor, rng: Generator) -> Tensor:
    """`[B, VERSIONS, 3, H, W]`: the scene itself, then aligned neighbours of it, each with boil of its own.

    A scene in five does not boil at all; one in four boils in colour.
    """
    count, size = len(clean), clean.shape[-2:]
    many = clean[:, None].expand(-1, VERSIONS, -1, -1, -1).flatten(0, 1)
    error = 0.15 * smooth_noise((len(many), 2, *size), 16, rng)
    error = error * torch.rand((len(many), 1, 1, 1), generator=rng)
    error.unflatten(0, (count, VERSIONS))[:, 0] = 0
    aligned = warp(many, error, "bicubic")
    boil = band_noise(len(many), 1, size, rng)
    colour = (torch.rand((count, 1, 1, 1), generator=rng) < 0.25).float().repeat_interleave(VERSIONS, 0)
    boil = boil + 0.5 * colour * band_noise(len(many), 3, size, rng)
    amount = 0.02 + 0.7 * torch.rand((count, 1, 1, 1), generator=rng)
    amount = amount * (torch.rand((count, 1, 1, 1), generator=rng) > 0.2)
    return (aligned + amount.repeat_interleave(VERSIONS, 0) * contrast(many, rng) * boil).unflatten(0, (count, -1))


def contrast(image: Tensor, rng: Generator) -> Tensor:
    """How much a place may boil: spread of its luma, or alike everywhere, or between: `[N, 1, H, W]`."""
    luma = image.mean(1, keepdim=True)
    spread = (F.avg_pool2d(luma.square(), 11, 1, 5) - F.avg_pool2d(luma, 11, 1, 5).square()).clamp_min(0).sqrt()
    even = torch.rand((len(image) // VERSIONS, 1, 1, 1), generator=rng).repeat_interleave(VERSIONS, 0) * 0.06
    return spread + even


def band_noise(count: int, channels: int, size: torch.Size, rng: Generator) -> Tensor:
    """Unit noise of details of 2 to 16 px, mixed anew for each: `[N, C, H, W]`."""
    total: Tensor = torch.zeros(count, channels, *size)
    for cell, most in ((1, 0.3), (2, 1.0), (3, 1.0), (4, 1.0), (8, 1.0)):
        weight = most * torch.rand((count, 1, 1, 1), generator=rng)
        total = total + weight * smooth_noise((count, channels, *size), cell, rng)
    return total / total.std((-3, -2, -1), keepdim=True)


def smooth_noise(shape: tuple[int, ...], cell: int, rng: Generator) -> Tensor:
    """Unit normal noise on a grid of `cell` pixels with an offset of its own, bicubic between: `[N, C, H, W]`."""
    height, width = shape[-2:]
    grid = torch.randn((*shape[:2], height // cell + 3, width // cell + 3), generator=rng)
    if cell == 1:
        return grid[..., :height, :width]
    fine = F.interpolate(grid, scale_factor=cell, mode="bicubic", align_corners=False)
    top, left = torch.randint(cell, (2,), generator=rng).tolist()
    return fine[..., top + cell // 2 :, left + cell // 2 :][..., :height, :width]


def moves(count: int, size: torch.Size, rng: Generator) -> Tensor:
    """Affine motion `[N, 2, H, W]` in pixels: shifts of up to a cell, a little turning and growing."""
    turn = 0.02 * torch.randn((count, 2, 2), generator=rng)
    shift = FACTOR * (2 * torch.rand((count, 2, 1, 1), generator=rng) - 1)
    ys = torch.arange(size[0], dtype=torch.float32) - size[0] / 2
    xs = torch.arange(size[1], dtype=torch.float32) - size[1] / 2
    places = torch.stack([xs[None, :].expand(*size), ys[:, None].expand(*size)])
    return torch.einsum("nij,jhw->nihw", turn, places) + shift


if __name__ == "__main__":
    main()

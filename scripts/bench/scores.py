"""How close a result is to the truth and how steady it is. Pure tensors.

All clips are `[T, 3, H, W]` R'G'B' in [0, 1]. dB are against a peak of 1 and end at 99 (identical).
x is the truth, y the flickering input, z a method's result; W brings frame t + 1 to t along the flow of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from kornia.metrics import ssim as kornia_ssim
from torch import Tensor

from deflicker.motion.warp import warp

from .motion import Motion

BEST_DB = 99.0


@dataclass(frozen=True)
class Scores:
    """One result against the truth."""

    psnr: float
    """Mean over frames of each frame's PSNR, dB."""
    psnr_pooled: float
    """PSNR of the squared error pooled over all frames, dB: for kinds that leave some frames exact."""
    temporal_psnr: float
    """PSNR of W(e_{t+1}) − e_t, e = z − x, over visible pixels, mean over pairs. A constant offset costs nothing."""
    temporal_psnr_pooled: float
    """The same of the squared error pooled over all pairs, dB: for seams, which are in few of them."""
    ssim: float
    """Structural similarity (Wang 2004), window of 11 px, mean over channels and frames."""
    ewarp: float
    """RMS of W(z_{t+1}) − z_t over visible pixels, 8-bit levels: Lai 2018's, rooted, flow and mask of the truth."""
    ewarp_truth: float
    """The same of the truth itself: what is left is motion the flow does not explain."""
    sharpness: float
    """Gradient energy of z over that of x; below 1 is blur, above 1 is noise."""
    lpips: float | None = None
    """LPIPS of some frames of z to those of x (`perception`); None where it was not asked for."""

    def to_dict(self) -> dict[str, float | None]:
        return asdict(self)


def score(result: Tensor, truth: Tensor, motion: Motion, perceived: Callable[[Tensor], float] | None = None) -> Scores:
    """Every score of a result. `motion` is the truth's; `perceived` gives a result's LPIPS to the truth."""
    if result.shape != truth.shape:
        raise ValueError(f"the result has another shape than the truth: {result.shape} and {truth.shape}")
    errors = temporal_errors(result, truth, motion)
    return Scores(
        psnr=psnr(result, truth),
        psnr_pooled=psnr_pooled(result, truth),
        temporal_psnr=float(decibels(errors).mean()),
        temporal_psnr_pooled=float(decibels(errors.mean())),
        ssim=ssim(result, truth),
        ewarp=ewarp(result, motion),
        ewarp_truth=ewarp(truth, motion),
        sharpness=sharpness(result, truth),
        lpips=perceived(result) if perceived else None,
    )


def decibels(squared_error: Tensor) -> Tensor:
    """PSNR of mean squared errors, at most 99 dB."""
    return (-10 * squared_error.clamp_min(1e-12).log10()).clamp(max=BEST_DB)


def psnr(result: Tensor, truth: Tensor) -> float:
    """Mean over frames of each frame's PSNR, dB."""
    return float(decibels((result - truth).square().mean((1, 2, 3))).mean())


def psnr_pooled(result: Tensor, truth: Tensor) -> float:
    """PSNR of all frames together, dB."""
    return float(decibels((result - truth).square().mean()))


def steps(frames: Tensor, motion: Motion) -> tuple[Tensor, Tensor]:
    """(W(frame t + 1) − frame t, visibility) for each pair of neighbours."""
    return warp(frames[1:], motion.ahead_px) - frames[:-1], motion.ahead_visible


def _masked_mean(squares: Tensor, visible: Tensor) -> Tensor:
    """Mean over the visible pixels of each pair, `[T-1]`; over all pixels where none is visible."""
    visible = torch.where(visible.sum((1, 2, 3), keepdim=True) > 0, visible, torch.ones_like(visible))
    return (squares.mean(1, keepdim=True) * visible).sum((1, 2, 3)) / visible.sum((1, 2, 3))


def temporal_errors(result: Tensor, truth: Tensor, motion: Motion) -> Tensor:
    """Mean squared first difference of the error along the truth's motion, over visible pixels, `[T-1]`."""
    difference, visible = steps(result - truth, motion)
    return _masked_mean(difference.square(), visible)


def temporal_psnr(result: Tensor, truth: Tensor, motion: Motion) -> float:
    """PSNR of the error's first difference along the truth's motion, mean over pairs, dB."""
    return float(decibels(temporal_errors(result, truth, motion)).mean())


def ewarp(frames: Tensor, motion: Motion) -> float:
    """Root mean square of W(z_{t+1}) − z_t over visible pixels, in 8-bit levels."""
    difference, visible = steps(frames, motion)
    return float(_masked_mean(difference.square(), visible).mean().sqrt() * 255)


def ssim(result: Tensor, truth: Tensor) -> float:
    """Mean structural similarity, window of 11 px."""
    return float(
        torch.stack([kornia_ssim(z[None], x[None], 11).mean() for z, x in zip(result, truth, strict=True)]).mean()
    )


def gradient_energy(frames: Tensor) -> float:
    """Sum of squared differences of neighbouring pixels, both ways."""
    return float((frames.diff(dim=-1).square().sum() + frames.diff(dim=-2).square().sum()).clamp_min(1e-12))


def sharpness(result: Tensor, truth: Tensor) -> float:
    """Gradient energy of a result over that of the truth."""
    return gradient_energy(result) / gradient_energy(truth)

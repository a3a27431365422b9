"""Every stage's arithmetic as a function of the device: run on the test device and on a real one, against the CPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deflicker.correction.apply import Correction, apply_gain, upsample_cells
from deflicker.correction.colour_mix import apply_mix
from deflicker.correction.curve import KNOTS, apply_curve
from deflicker.correction.tone.colour_flicker import MixMemory, solve_mixes
from deflicker.correction.tone.flicker_gate import flicker_of_places, flicker_scale
from deflicker.correction.tone.gain_field import solve_gains
from deflicker.correction.tone.highlights import highlight_light
from deflicker.correction.tone.level_matching import compare, level_bins
from deflicker.correction.tone.observations import observe
from deflicker.correction.tone.pyramid import Pyramid
from deflicker.correction.tone.seam_correction import SeamMemory, find_seams
from deflicker.correction.tone.static_check import rollback_gain
from deflicker.correction.tone.tone_curve import solve_curve
from deflicker.correction.tone.trend import trend_path
from deflicker.media.color import bt709_luma
from deflicker.metrics.flicker import flicker_sums
from deflicker.motion.correspondence import Match, build_matches
from deflicker.motion.cuts import likeness, structure
from deflicker.motion.filters import box_mean, cell_means
from deflicker.motion.flow import even_light
from deflicker.motion.warp import visibility, warp

FRAMES, HEIGHT, WIDTH = 10, 64, 96


def frames(device: str) -> Tensor:
    """Smooth colours that pump, `[T, 3, H, W]` in [0, 1]."""
    chance = torch.Generator().manual_seed(3)
    noise = torch.rand(1, 3, HEIGHT + 8, WIDTH + 8, generator=chance)
    picture = 0.25 + 0.5 * torch.nn.functional.avg_pool2d(noise, 9, 1)
    gains = (0.1 * torch.randn(FRAMES, 1, 1, 1, generator=chance)).exp()
    return ((picture - 0.5) * 6 + 0.5).clamp(0.05, 0.85).mul(gains).clamp(0, 1).to(device)


def flows(device: str) -> Tensor:
    """Small shifts, `[T - 1, 2, H, W]` in pixels."""
    chance = torch.Generator().manual_seed(4)
    return torch.randn(FRAMES - 1, 2, 1, 1, generator=chance).expand(-1, -1, HEIGHT, WIDTH).contiguous().to(device)


def matches(device: str) -> dict[int, Match]:
    there = flows(device)
    return dict(build_matches(there, -there, (1, 2, 4)))


def cells(device: str) -> Tensor:
    chance = torch.Generator().manual_seed(5)
    return (0.1 * torch.randn(3, HEIGHT // 8, WIDTH // 8, generator=chance)).to(device)


def curve(device: str) -> Tensor:
    return torch.linspace(-0.2, 0.2, KNOTS).expand(3, KNOTS).contiguous().to(device)


def mix(device: str) -> Tensor:
    return torch.tensor([[0.1, -0.05], [0.0, 0.02], [-0.1, 0.1]]).to(device)


def _correction(device: str) -> Tensor:
    rgb = frames(device)
    detail = 0.01 * (rgb[1:2, :1] - 0.5)[0]
    still = (rgb[2, :1] * 255).round().to(torch.uint8)
    found = Correction(cells(device), rgb[1], curve(device), detail, still, mix(device))
    return found.scaled(0.7).applied(rgb[0])


def _gate(device: str, *, places: bool) -> Tensor:
    rgb, pyramid = frames(device), Pyramid(HEIGHT // 8, WIDTH // 8, device=device)
    steps = {offset: observe(rgb, match) for offset, match in matches(device).items()}
    scale = flicker_scale(steps, pyramid)
    if not places:
        return scale
    return torch.cat([each.flatten() for each in flicker_of_places(steps, pyramid, scale)])


def _trend(device: str) -> Tensor:
    rgb, pyramid = frames(device), Pyramid(HEIGHT // 8, WIDTH // 8, device=device)
    steps = {offset: observe(rgb, match) for offset, match in matches(device).items()}
    return trend_path(steps, FRAMES, pyramid)


def steady(device: str) -> Tensor:
    """The first of the frames, ten times over."""
    return frames(device)[:1].expand(FRAMES, -1, -1, -1)


def standing(device: str) -> dict[int, Match]:
    """Matches of a picture that does not move."""
    still = torch.zeros(FRAMES - 1, 2, HEIGHT, WIDTH, device=device)
    return dict(build_matches(still, still, (1, 2, 4)))


def chances(device: str) -> Tensor:
    """A number for each frame, `[T, 1, 1, 1]`."""
    return torch.randn(FRAMES, 1, 1, 1, generator=torch.Generator().manual_seed(6)).to(device)


def _curves(device: str) -> Tensor:
    """Of frames whose gamma pumps."""
    return solve_curve(steady(device).pow((0.15 * chances(device)).exp()), standing(device))[0]


def _colours(device: str) -> Tensor:
    """Of frames whose saturation pumps."""
    rgb = steady(device)
    grey = bt709_luma(rgb)[:, None]
    pumped = (grey + (0.3 * chances(device)).exp() * (rgb - grey)).clamp(0, 1)
    return solve_mixes(pumped, standing(device), MixMemory.empty(pumped)).total


def _seams(device: str) -> Tensor:
    """Of a window with a step in the middle."""
    later = torch.arange(FRAMES, device=device).view(-1, 1, 1, 1) >= FRAMES // 2
    rgb, found = torch.where(later, 0.8 * steady(device), steady(device)), standing(device)
    steps = {offset: observe(rgb, match) for offset, match in found.items()}
    return find_seams(rgb, found, steps, SeamMemory(rgb.new_zeros(0, 3, HEIGHT // 8, WIDTH // 8))).log_gain


def _levels(device: str) -> Tensor:
    found = compare(level_bins(frames(device)), matches(device)[1])
    return torch.cat([found.here, found.there])


def _sums(device: str) -> Tensor:
    sums = flicker_sums(frames(device), matches(device), 0, FRAMES)
    return torch.stack([sums.whole, sums.local, sums.frames, sums.weight])


def _highlights(device: str) -> Tensor:
    rgb = (frames(device) * 1.3).clamp(0, 1)
    found = highlight_light(rgb, rgb * 0.8, matches(device), 0, FRAMES)
    assert found is not None
    return found


def _alike(device: str) -> Tensor:
    maps = structure(frames(device))
    return likeness(maps[:-1], maps[1:])


STAGES: dict[str, tuple[Callable[[str], Tensor], float]] = {
    "luma": (lambda device: bt709_luma(frames(device)), 1e-5),
    "even light": (lambda device: even_light(frames(device)), 1e-4),
    "structure": (lambda device: structure(frames(device)), 1e-3),
    "likeness": (_alike, 1e-3),
    "warp": (lambda device: warp(frames(device)[1:], flows(device)), 1e-4),
    "visibility": (lambda device: visibility(flows(device), -flows(device)), 1e-4),
    "box mean": (lambda device: box_mean(frames(device), 2), 1e-5),
    "cell means": (lambda device: cell_means(frames(device)), 1e-5),
    "matches": (lambda device: torch.cat([each.flow_px for each in matches(device).values()]), 1e-4),
    "observation": (lambda device: observe(frames(device), matches(device)[1]).log_ratio, 1e-4),
    "trend": (_trend, 1e-3),
    "gate of levels": (lambda device: _gate(device, places=False), 1e-3),
    "gate of places": (lambda device: _gate(device, places=True), 1e-3),
    "gains": (lambda device: solve_gains(frames(device), matches(device))[0], 2e-3),
    "matched levels": (_levels, 2e-2),
    "curves": (_curves, 5e-3),
    "colours": (_colours, 5e-3),
    "seams": (_seams, 2e-3),
    "static check": (lambda device: rollback_gain(frames(device), frames(device).flip(0)), 1e-3),
    "highlights": (_highlights, 1e-3),
    "flicker": (_sums, 1e-2),
    "cells upsampled": (lambda device: upsample_cells(cells(device), (HEIGHT, WIDTH)), 1e-5),
    "gain applied": (lambda d: apply_gain(frames(d)[0], upsample_cells(cells(d), (HEIGHT, WIDTH))), 1e-5),
    "curve applied": (lambda device: apply_curve(frames(device)[0], curve(device)), 1e-4),
    "mix applied": (lambda device: apply_mix(frames(device)[0], mix(device)), 1e-5),
    "correction": (_correction, 1e-3),
}
"""A stage on a device, and how far a real GPU may lie from the CPU: log gain, pixels, or R'G'B' in [0, 1]."""

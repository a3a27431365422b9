"""A part that flickers beside a steady one: the border is hard, and nothing is done beyond it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.presets import PRESETS
from deflicker.correction.tone.solve import Solution, solve
from deflicker.correction.tone.state import Window
from deflicker.correction.tone.tone_options import ToneOptions

FRAMES, HEIGHT, WIDTH = 24, 96, 128
EDGE = 52
"""Where the part ends: in the middle of a cell."""
PARTS = ToneOptions.of(PRESETS["balanced"])


def panning() -> Tensor:
    """A pan by a pixel a frame over smooth things, `[T, 3, H, W]`."""
    rng = torch.Generator().manual_seed(5)
    grid = torch.rand((1, 3, 13, 20), generator=rng)
    still = F.interpolate(grid, size=(HEIGHT, WIDTH + FRAMES), mode="bicubic", align_corners=True).clamp(0, 1)
    return torch.stack([0.25 + 0.5 * still[0, :, :, t : t + WIDTH] for t in range(FRAMES)])


def flickering(clean: Tensor, part: Tensor, amount: float, seed: int = 11) -> Tensor:
    """The clip with a part `[H, W]` that pumps."""
    pump = amount * torch.randn((FRAMES, 1, 1, 1), generator=torch.Generator().manual_seed(seed))
    return (clean * ((pump - pump.mean()) * part).exp()).clamp(0, 1)


def solved(frames: Tensor, options: ToneOptions = PARTS) -> Solution:
    flow = torch.zeros(FRAMES - 1, 2, HEIGHT, WIDTH)
    flow[:, 0] = -1
    return solve(Window(frames, flow, -flow, FRAMES), None, options)


def corrected(frames: Tensor, solution: Solution) -> Tensor:
    pairs = zip(frames, solution.corrections(), strict=True)
    return torch.stack([frame if each is None else each.applied(frame) for frame, each in pairs])


def in_two_windows(frames: Tensor, first: ToneOptions, second: ToneOptions) -> Tensor:
    """The later half, whose window finds what `second` lets it, after one that found what `first` let it."""
    middle = FRAMES // 2
    flow = torch.zeros(FRAMES, 2, HEIGHT, WIDTH)
    flow[:, 0] = -1
    one = Window(frames[: middle + 4], flow[: middle + 3], -flow[: middle + 3], middle)
    two = Window(frames[middle:], flow[middle:], -flow[middle:], FRAMES - middle)
    return corrected(frames[middle:], solve(two, solve(one, None, first).state, second))


def half() -> Tensor:
    return (torch.arange(WIDTH) < EDGE).float().expand(HEIGHT, WIDTH)


def test_the_steady_half_stays_exactly_as_it_was_and_the_other_is_steadied_up_to_its_edge() -> None:
    clean = panning()
    frames = flickering(clean, half(), 0.12)
    done = corrected(frames, solved(frames))
    assert torch.equal(done[..., EDGE + 3 :], frames[..., EDGE + 3 :])
    edge = slice(EDGE - 8, EDGE - 2)
    assert jumps(done, clean, edge) < 0.15 * jumps(frames, clean, edge)


def test_without_parts_gains_reach_over_the_edge() -> None:
    frames = flickering(panning(), half(), 0.12)
    done = corrected(frames, solved(frames, replace(PARTS, parts=False)))
    assert not torch.equal(done[..., EDGE + 3 :], frames[..., EDGE + 3 :])


def test_a_window_without_parts_does_no_more_beyond_than_if_there_had_never_been_any() -> None:
    frames, without = flickering(panning(), half(), 0.12), replace(PARTS, parts=False)
    later = frames[FRAMES // 2 :]
    after_parts, never = (in_two_windows(frames, first, without) for first in (PARTS, without))
    done, usual = ((each - later)[..., EDGE + 3 :].abs().mean() for each in (after_parts, never))
    assert not torch.equal(after_parts, never)
    assert done < 1.2 * usual


@pytest.mark.parametrize("both", [(0.12, 0.12), (0.12, 0.05)])
def test_a_picture_whose_other_half_flickers_too_has_no_parts(both: tuple[float, float]) -> None:
    left, right = both
    frames = flickering(flickering(panning(), half(), left), 1 - half(), right, seed=12)
    assert solved(frames).log_gain.shape[-2:] == (HEIGHT // 8, WIDTH // 8)


def test_a_picture_that_pumps_as_a_whole_has_no_parts() -> None:
    frames = flickering(panning(), torch.ones(HEIGHT, WIDTH), 0.12)
    assert solved(frames).log_gain.shape[-2:] == (HEIGHT // 8, WIDTH // 8)


def jumps(frames: Tensor, clean: Tensor, columns: slice) -> float:
    """Root mean square change of the error from frame to frame, of the columns' mean."""
    error = (frames - clean)[..., columns].mean((2, 3))
    return float(error.diff(dim=0).square().mean().sqrt())

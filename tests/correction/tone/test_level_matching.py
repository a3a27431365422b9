"""Levels at equal ranks, against sorting; steps of the curve, against curves that are known."""

import pytest
import torch

from deflicker.correction.curve import BRIGHTEST, DARKEST, FLOOR, KNOTS, SPACING, log_level
from deflicker.correction.tone.level_matching import compare, level_bins, level_step
from deflicker.motion.correspondence import Match
from tests.correction.scenes import matches, pan, rng, still, texture

HEIGHT, WIDTH, FRAMES = 64, 96, 6
NONE = torch.zeros(FRAMES, 3, KNOTS)
LEVELS = torch.linspace(DARKEST, BRIGHTEST, KNOTS)
BIN = (BRIGHTEST - DARKEST) / 512


def gamma(frames: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    return frames ** power.view(-1, 1, 1, 1)


POWERS = 1 + 0.15 * torch.randn(FRAMES, generator=rng(4))
CLIP = gamma(still(FRAMES, HEIGHT, WIDTH), POWERS)


def test_ranks_are_those_of_sorting():
    """One frame against itself shuffled: quantiles of the half's pixels, here = there."""
    frames = torch.stack([texture(HEIGHT, WIDTH, 1), texture(HEIGHT, WIDTH, 2)])
    found = compare(level_bins(frames), matches(frames)[1])
    left_top, right_bottom = frames[0, 1, :32:2, :48:2], frames[0, 1, 32::2, 48::2]
    pixels = log_level(torch.cat([left_top.flatten(), right_bottom.flatten()])).sort().values
    ranks = (torch.arange(128) + 0.5) / 128
    wanted = torch.quantile(pixels, ranks)
    torch.testing.assert_close(found.here[0, 0, 1], wanted, atol=2 * BIN, rtol=0)
    assert (found.fraction == 1).all()


def test_a_frame_that_repeats_makes_no_step():
    frames = still(FRAMES, HEIGHT, WIDTH)
    for match in matches(frames).values():
        step = level_step(compare(level_bins(frames), match), NONE)
        assert torch.equal(step.log_ratio, torch.zeros_like(step.log_ratio))


@pytest.mark.parametrize("shift", [(0, 0), (2, 1)])
def test_the_step_of_a_gamma_is_its_curve(shift):
    """d(λ) = log(y' + ε) − λ with y' what a pixel becomes, averaged over the pixels near a knot."""
    clean = pan(FRAMES, HEIGHT, WIDTH, step=shift)
    frames = gamma(clean, POWERS)
    match = matches(frames, shift)[1]
    step = level_step(compare(level_bins(frames), match), NONE)
    for t in range(FRAMES - 1):
        seen = match.visible[t, 0, ::2, ::2] > 0
        pixels = frames[t, 0, ::2, ::2][seen]
        rise = log_level(pixels ** (POWERS[t + 1] / POWERS[t])) - log_level(pixels)
        near = (1 - (log_level(pixels)[:, None] - LEVELS).abs() / SPACING).clamp_min(0)
        wanted = (near * rise[:, None]).sum(0) / near.sum(0)
        sure = step.weight[t, 0, 0] > 0.3
        assert sure.sum() >= 3
        torch.testing.assert_close(step.log_ratio[t, 0, 0][sure], wanted[sure], atol=0.01, rtol=0)


def test_levels_nobody_has_weigh_nothing():
    step = level_step(compare(level_bins(CLIP), matches(CLIP)[1]), NONE)
    dark = LEVELS.exp() - FLOOR < 0.08
    assert (step.weight[..., dark] == 0).all()
    assert (step.log_ratio[..., dark] == 0).all()


def test_what_is_cut_off_or_invisible_is_not_compared():
    frames = still(3, HEIGHT, WIDTH).clone()
    frames[1, :, :, :48] = 1.0
    frames[0, :, 32:, 48:] = 0.0
    found = compare(level_bins(frames), matches(frames)[1])
    # Half one is the corners left above and right below: nothing of it is known. Of the other, right above is.
    assert found.fraction[:, 0, 0].tolist() == [0.0, 0.5]
    hidden = Match(1, 0, torch.zeros(2, 2, HEIGHT, WIDTH), torch.zeros(2, 1, HEIGHT, WIDTH))
    nothing = level_step(compare(level_bins(frames), hidden), NONE)
    assert nothing.weight.abs().max() == 0
    assert nothing.log_ratio.abs().max() == 0


def test_the_true_correction_leaves_nothing():
    """Asked again under c = what undoes the gammas, the step left, linear part added back, is small."""
    level = LEVELS.exp() - 0.01
    undo = torch.stack([log_level(level.clamp_min(0) ** (1 / p)) - LEVELS for p in POWERS])
    curve = undo[:, None].expand(FRAMES, 3, KNOTS)
    for offset, match in matches(CLIP).items():
        levels = compare(level_bins(CLIP), match)
        step, before = level_step(levels, curve), level_step(levels, NONE)
        n = len(step.log_ratio)
        mine, theirs = curve[step.start :][:n], curve[step.start + offset :][:n]
        left = (step.log_ratio[:, :, 0] + theirs - mine)[step.weight[:, :, 0] > 0.3]
        assert left.abs().max() < 0.02
        assert left.square().mean() < before.log_ratio.square().mean() / 50

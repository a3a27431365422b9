"""Tone curves on pixels: what stands at the knots, what lies between, and that order, black and white are kept."""

import math
from itertools import pairwise

import pytest
import torch

from deflicker.correction.apply import Correction
from deflicker.correction.curve import (
    BRIGHTEST,
    DARKEST,
    FLOOR,
    KNOTS,
    SPACING,
    apply_curve,
    gain_at,
    log_level,
    rising,
)
from tests.correction.scenes import rng, texture

LEVELS = torch.linspace(DARKEST, BRIGHTEST, KNOTS)
RAMP = torch.linspace(0, 1, 256).expand(3, 1, 256)


def curves(*shape: int, sd: float = 0.2, seed: int = 0) -> torch.Tensor:
    return sd * torch.randn(*shape, KNOTS, generator=rng(seed))


def test_the_knots_span_black_to_white():
    assert log_level(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([DARKEST, BRIGHTEST])
    assert pytest.approx(math.log(FLOOR)) == DARKEST


def test_between_knots_it_is_straight():
    curve = curves(3)
    torch.testing.assert_close(gain_at(curve, LEVELS.expand(3, KNOTS)), curve, atol=1e-4, rtol=0)
    halfway = (LEVELS[:-1] + SPACING / 2).expand(3, KNOTS - 1)
    torch.testing.assert_close(gain_at(curve, halfway), (curve[:, 1:] + curve[:, :-1]) / 2, atol=1e-4, rtol=0)


def test_beyond_the_ends_it_is_constant():
    curve = curves(3)
    ends = gain_at(curve, torch.tensor([-9.0, 9.0]).expand(3, 2))
    torch.testing.assert_close(ends, curve[:, [0, -1]])


def test_the_table_says_what_the_formula_does():
    """Within a sixth of an 8-bit code value of (y + ε) exp(g) − ε, pixel by pixel."""
    frames = torch.stack([texture(16, 24, seed, low=0.0, high=1.0) for seed in range(2)])
    curve = curves(2, 3)
    level = log_level(frames)
    wanted = (level + gain_at(curve, level.flatten(2)).view_as(level)).exp() - FLOOR
    torch.testing.assert_close(apply_curve(frames, curve), wanted.clamp(0, 1), atol=1 / 6 / 255, rtol=0)


def test_zero_changes_no_bit():
    assert torch.equal(apply_curve(RAMP, torch.zeros(3, KNOTS)), RAMP)


def test_nothing_goes_past_white_or_black():
    values = torch.tensor([1.0, 1.2, -0.1, 0.0])
    darker = apply_curve(values.expand(3, 1, 4), torch.full((3, KNOTS), -0.1)) - values
    white, whiter, blacker, black = darker[0, 0].tolist()
    assert whiter == pytest.approx(white)
    assert blacker == black == 0
    brighter = apply_curve(values.expand(3, 1, 4), torch.full((3, KNOTS), 0.1)) - values
    white, whiter, blacker, black = brighter[0, 0].tolist()
    assert white == whiter == 0
    assert blacker == pytest.approx(black)


@pytest.mark.parametrize("sd", [0.1, 0.5, 3.0])
def test_levels_keep_their_order(sd):
    level = torch.linspace(DARKEST, BRIGHTEST, 999).expand(3, 999)
    corrected = level + gain_at(rising(curves(3, sd=sd)), level)
    assert (corrected.diff(dim=-1) > 0).all()


def test_a_gentle_curve_is_left_as_it_is():
    curve = 0.1 * torch.sin(LEVELS).expand(3, KNOTS)
    torch.testing.assert_close(rising(curve), curve)


def test_strength_is_a_part_of_the_change():
    """Nothing at 0, all at 1, monotone between."""
    curve = -0.05 - 0.1 * torch.rand(3, KNOTS, generator=rng(1))
    correction = Correction(torch.zeros(3, 1, 4), curve=curve)
    results = [correction.scaled(strength).applied(RAMP) for strength in (0.0, 0.3, 0.6, 1.0)]
    assert torch.equal(results[0], RAMP)
    torch.testing.assert_close(results[-1], apply_curve(RAMP, curve))
    for weaker, stronger in pairwise(results):
        assert (stronger <= weaker).all()
        assert (stronger < weaker).any()


def test_curve_and_cells_multiply_and_white_is_the_end():
    """A gain as a constant curve and the same gain on cells, up to the floor; no sample passes white."""
    gain = 0.1
    by_curve = Correction(torch.zeros(3, 1, 4), curve=torch.full((3, KNOTS), gain)).applied(RAMP)
    by_cells = Correction(torch.full((3, 1, 4), gain)).applied(RAMP)
    torch.testing.assert_close(by_curve, by_cells, atol=FLOOR * (math.exp(gain) - 1) + 1e-3, rtol=0)
    both = Correction(torch.full((3, 1, 4), gain), curve=torch.full((3, KNOTS), gain)).applied(RAMP)
    assert both.max() <= 1

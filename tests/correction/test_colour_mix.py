"""Mixes of colours: their logarithms add up, and keep luma where each of them does."""

import pytest
import torch

from deflicker.correction.colour_mix import apply_mix, from_grey, log_of_matrix, mix_of_log
from deflicker.media.color import BT709, bt709_luma
from tests.correction.scenes import rng

SATURATION = torch.tensor([[1, 0], [-BT709[0] / BT709[1], -BT709[2] / BT709[1]], [0, 1]])
"""Λ of a saturation that is e times as strong."""
COLOURS = 0.4 + 0.2 * torch.rand(3, 8, 8, generator=rng(1))


@pytest.mark.parametrize("log_factor", [-0.9, -0.2, 0.0, 0.3, 0.9])
def test_saturation_is_a_factor(log_factor):
    mixed = apply_mix(COLOURS, mix_of_log(SATURATION * log_factor))
    luma = bt709_luma(COLOURS[None])
    wanted = luma + (COLOURS - luma) * torch.tensor(log_factor).exp()
    assert (mixed - wanted).abs().max() < 1e-4
    assert (bt709_luma(mixed[None]) - luma).abs().max() < 1e-6


def test_the_logarithm_leads_back():
    mix = 0.2 * torch.randn(50, 3, 2, generator=rng(2))
    log = log_of_matrix(torch.eye(3) + mix @ from_grey(mix))
    assert (mix_of_log(log) - mix).abs().max() < 5e-3


def test_no_mix_is_exactly_none():
    assert not mix_of_log(torch.zeros(3, 3, 2)).any()
    assert not log_of_matrix(torch.eye(3)[None]).any()

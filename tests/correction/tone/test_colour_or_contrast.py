"""Contrast that pumps is corrected by curves alone, although it changes colours; colours that pump are mixed back."""

import torch

from deflicker.correction.colour_mix import apply_mix
from deflicker.correction.curve import KNOTS
from deflicker.correction.tone.colour_flicker import Mixes, MixMemory, solve_mixes
from deflicker.correction.tone.colour_or_contrast import mixes_beside_curves
from deflicker.correction.tone.tone_options import CurveOptions
from tests.correction.scenes import global_noise, matches
from tests.correction.tone.test_colour_flicker import CLEAN, FRAMES, LAGS, NOISE, SATURATION, STEP

PUMPED = 0.5 + (CLEAN - 0.5) * global_noise(FRAMES, 0.2).exp()


def found_and_kept(frames: torch.Tensor) -> tuple[Mixes, Mixes]:
    matched = matches(frames, STEP, LAGS)
    mixes = solve_mixes(frames, matched, MixMemory.empty(frames))
    return mixes, mixes_beside_curves(frames, matched, mixes, fixed=torch.zeros(0, 3, KNOTS), options=CurveOptions())


def test_contrast_is_no_flicker_of_colour():
    found, kept = found_and_kept(PUMPED.clamp(0, 1))
    assert not found.is_zero
    assert kept.is_zero
    assert not kept.total.any()


def test_flicker_of_colour_stays_one():
    found, kept = found_and_kept(apply_mix(CLEAN, SATURATION * 0.1 * NOISE))
    assert not found.is_zero
    assert kept is found


def test_flicker_of_colour_stays_one_where_gain_pumps_besides():
    found, kept = found_and_kept(apply_mix(CLEAN, SATURATION * 0.1 * NOISE) * global_noise(FRAMES, 0.1).exp())
    assert not found.is_zero
    assert kept is found


def test_without_curves_nothing_is_asked():
    frames = PUMPED.clamp(0, 1)
    matched = matches(frames, STEP, LAGS)
    mixes = solve_mixes(frames, matched, MixMemory.empty(frames))
    off = CurveOptions(iterations=())
    assert mixes_beside_curves(frames, matched, mixes, fixed=torch.zeros(0, 3, KNOTS), options=off) is mixes


def test_decided_frames_keep_their_mix():
    frames, past = PUMPED.clamp(0, 1), 10
    matched = matches(frames, STEP, LAGS)
    mixes = solve_mixes(frames, matched, MixMemory.empty(frames))
    fixed = torch.zeros(past, 3, KNOTS)
    kept = mixes_beside_curves(frames, matched, mixes, fixed=fixed, options=CurveOptions())
    assert mixes.flicker[:past].any()
    assert torch.equal(kept.flicker[:past], mixes.flicker[:past])
    assert not kept.flicker[past:].any()

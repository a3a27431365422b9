"""Drift: distances between pictures k apart, of one shot."""

import pytest
import torch

from deflicker.metrics.drift import LAGS, Drift


def distance(first, second):
    return (first[0] - second[0]).abs().flatten()


def curve(values, shots=(0,)):
    drift = Drift(1)
    for number, value in enumerate(values):
        if number in shots and number:
            drift.end_shot()
        drift.add([torch.tensor([float(value)])], distance)
    return drift.means()[0].tolist()


def test_by_hand():
    """A picture that changes by 0.5 a frame is k / 2 away from itself k frames ago."""
    assert curve([0.5 * t for t in range(80)]) == pytest.approx([lag / 2 for lag in LAGS])


def test_what_stays_does_not_drift():
    assert curve([3.0] * 80) == [0] * len(LAGS)


def test_a_pump_is_no_drift():
    """It is as far from one frame to the next as over 63."""
    found = curve([t % 2 for t in range(80)])
    assert found == [1, 0, 0, 0, 0, 0, 0]


def test_short_shots_say_nothing_of_long_distances():
    found = curve([0.5 * t for t in range(10)])
    assert found[:4] == pytest.approx([0.5, 1, 2, 4])
    assert all(value != value for value in found[4:])


def test_a_cut_is_no_drift():
    assert curve([0.0] * 8 + [100.0] * 8, shots=(8,))[:3] == [0, 0, 0]

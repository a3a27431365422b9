"""The flicker index: a number one can work out by hand, and none for motion, fades and light that moves on."""

import math
from itertools import pairwise

import pytest
import torch

from deflicker.metrics.flicker import FlickerSums, flicker_sums
from tests.correction.scenes import global_noise, links, local_noise, matches, pan, still

HEIGHT, WIDTH = 48, 64


def index(frames, step=(0, 0)):
    return flicker_sums(frames, matches(frames, step, (1,)), 0, len(frames)).index()


def gray(levels: list[float]) -> torch.Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, HEIGHT, WIDTH)


def test_an_alternation_by_hand():
    """m ± a: the second difference is 4a in every frame, over √6."""
    sums = flicker_sums(gray([0.5, 0.52] * 4), matches(gray([0.5] * 8), lags=(1,)), 0, 8)
    assert sums.frames.item() == 6
    assert sums.index() == pytest.approx([4 * 0.01 * 255 / math.sqrt(6)] * 2, rel=1e-4)


def test_independent_noise_counts_at_its_own_strength():
    frames = gray([0.5] * 400) + global_noise(400, 0.01)
    assert index(frames)[0] == pytest.approx(2.55, rel=0.1)


@pytest.mark.parametrize(("channel", "share"), [(0, 0.2126), (1, 0.7152), (2, 0.0722)])
def test_channels_count_as_luma(channel, share):
    frames = gray([0.5] * 8).clone()
    frames[::2, channel] += 0.04
    assert index(frames)[0] == pytest.approx(share * 0.04 * 2 * 255 / math.sqrt(6), rel=1e-3)


def test_regions_that_cancel_are_local_alone():
    """Left and right pump against each other: the whole stays, every cell shakes."""
    frames = gray([0.5] * 8).clone()
    frames[::2, ..., : WIDTH // 2] += 0.02
    frames[1::2, ..., WIDTH // 2 :] += 0.02
    whole, local = index(frames)
    assert whole == pytest.approx(0, abs=1e-3)
    assert local == pytest.approx(0.02 * 2 * 255 / math.sqrt(6), rel=1e-3)


@pytest.mark.parametrize("step", [(0, 0), (2, 1), (-3, 2)])
def test_motion_is_no_flicker(step):
    assert index(pan(12, HEIGHT, WIDTH, step=step), step) == pytest.approx((0, 0), abs=0.01)


@pytest.mark.parametrize("step", [(0, 0), (2, 1)])
def test_a_fade_is_no_flicker(step):
    fade = torch.linspace(0.2, 1, 12).view(-1, 1, 1, 1)
    found = index(pan(12, HEIGHT, WIDTH, step=step) * fade, step)
    assert found == pytest.approx((0, 0), abs=0.01)


@pytest.mark.parametrize("step", [(0, 0), (2, 1)])
def test_more_flicker_is_a_larger_index(step):
    clean = pan(12, HEIGHT, WIDTH, step=step)
    for noise in (global_noise(12, 1), local_noise(12, HEIGHT, WIDTH, 1)):
        found = [index(clean * (sd * noise).exp(), step) for sd in (0.0, 0.01, 0.03, 0.1)]
        for column in zip(*found, strict=True):
            assert list(column) == sorted(column)
            assert column[2] == pytest.approx(3 * column[1], rel=0.1)


def test_motion_hides_no_flicker():
    """The index of the same flicker is nearly that of the still."""
    flicker = global_noise(12, 0.05).exp()
    resting = index(still(12, HEIGHT, WIDTH) * flicker)
    moving = index(pan(12, HEIGHT, WIDTH, step=(2, 1)) * flicker, (2, 1))
    assert moving == pytest.approx(resting, rel=0.15)


@pytest.mark.parametrize("cuts", [[4], [1, 2], [3, 6, 9], [11], [6, 6]])
def test_windows_add_up(cuts):
    frames = still(12, HEIGHT, WIDTH) * local_noise(12, HEIGHT, WIDTH, 0.1).exp()
    whole = flicker_sums(frames, matches(frames), 0, 12)
    bounds = [0, *cuts, 12]
    parts = [flicker_sums(frames, matches(frames), a, b) for a, b in pairwise(bounds)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.frames == whole.frames == 10
    assert total.index() == pytest.approx(whole.index(), rel=1e-5)


def test_what_is_not_visible_does_not_count():
    frames = still(8, HEIGHT, WIDTH).clone()
    frames[::2, ..., : WIDTH // 2] *= 1.2
    seen = matches(frames, lags=(1,))
    for match in seen.values():
        match.visible[..., : WIDTH // 2] = 0
    assert flicker_sums(frames, seen, 0, 8).index() == pytest.approx((0, 0), abs=1e-4)
    for match in seen.values():
        match.visible[:] = 0
    assert flicker_sums(frames, seen, 0, 8).index() is None


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_to_say_about_few_frames(count):
    frames = still(count, HEIGHT, WIDTH)
    forward_px, _ = links(frames)
    assert len(forward_px) == count - 1
    assert flicker_sums(frames, matches(frames), 0, count).index() is None


def test_no_window_no_sums():
    frames = still(6, HEIGHT, WIDTH)
    for first, last in ((0, 1), (5, 6), (3, 3), (4, 2)):
        sums = flicker_sums(frames, matches(frames), first, last)
        assert isinstance(sums, FlickerSums)
        assert float(sums.frames) == float(sums.weight) == 0
        assert sums.index() is None

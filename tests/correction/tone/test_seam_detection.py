"""Seams on made pictures: a table of edits in which they must and must not be found, and the fit beside a slow one."""

import pytest
import torch

from deflicker.correction.tone.observations import Step
from deflicker.correction.tone.seam_detection import (
    REGIONS,
    expected_seams,
    fit_steps,
    region_steps,
    select_opening,
    select_seams,
)
from deflicker.motion.correspondence import Match
from tests.correction.scenes import rng, tone_steps


def matches_of(frames: int, offsets: tuple[int, ...], seen: float = 1.0) -> dict[int, Match]:
    """Matches of pictures of 4 × 4 pixels that do not move."""
    visible = torch.ones(frames, 1, 4, 4)
    visible[:, :, :, : round(4 * (1 - seen))] = 0
    return {
        offset: Match(
            offset, max(0, -offset), torch.zeros(frames - abs(offset), 2, 4, 4), visible[: frames - abs(offset)]
        )
        for offset in offsets
    }


def steps_of(tone: torch.Tensor) -> dict[int, Step]:
    return tone_steps(tone, lags=(1, 2, 4))


def noisy_tone(frames: int, seed: int = 0) -> torch.Tensor:
    """Log tone of 10 × 10 cells with a step, a slope and noise of their own."""
    random = rng(seed)
    step = 0.1 * torch.randn(3, 10, 10, generator=random)
    slope = 0.01 * torch.randn(3, 10, 10, generator=random)
    time = torch.arange(frames).view(-1, 1, 1, 1)
    return step * (time >= frames // 2) + slope * time + 0.02 * torch.randn(frames, 3, 10, 10, generator=random)


def test_region_steps_are_means_over_both_ways():
    tone = noisy_tone(8)
    value, weight, start, lag = region_steps(steps_of(tone))
    for row in range(len(value)):
        first, last = int(start[row]), int(start[row] + lag[row])
        cells = tone[last] - tone[first]
        expected = cells.view(3, 5, 2, 5, 2).mean((2, 4))
        assert torch.allclose(value[row], expected, atol=1e-6)
    assert torch.allclose(weight, torch.ones_like(weight))
    assert value.shape[1:] == (3, *REGIONS)
    assert len(value) == 7 + 6 + 4


@pytest.mark.parametrize("boundary", [2, 5, 7, 9])
def test_the_fit_is_that_of_least_squares(boundary):
    """The same regression by `lstsq`, one region and channel after the other."""
    frames = 16
    tone = noisy_tone(frames)
    steps = steps_of(tone)
    fit = fit_steps(steps, matches_of(frames, tuple(steps)), frames)
    value, _, start, lag = region_steps(steps)
    rows = [row for row in range(len(value)) if start[row] > boundary - 6 and start[row] + lag[row] <= boundary + 6]
    straddles = [float(start[row] <= boundary < start[row] + lag[row]) for row in rows]
    design = torch.tensor([[float(lag[row]), across] for row, across in zip(rows, straddles, strict=True)])
    slope_only = design[:, :1]
    observed = value[rows].flatten(1)
    both = torch.linalg.lstsq(design, observed).solution
    alone = torch.linalg.lstsq(slope_only, observed).solution
    left, left_alone = observed - design @ both, observed - slope_only @ alone
    explained = 1 - left.square().sum() / left_alone.square().sum()
    assert fit.explained[boundary].item() == pytest.approx(explained.item(), abs=1e-4)
    assert fit.size[boundary].item() == pytest.approx(both[1].square().mean().sqrt().item(), rel=1e-3)
    assert fit.peak[boundary].item() == pytest.approx(both[1].abs().max().item(), rel=1e-3)
    assert torch.allclose(fit.slope[boundary].flatten(), both[0], atol=1e-5)


def test_a_step_that_stays_explains_everything_and_a_slope_nothing():
    time = torch.arange(16).view(-1, 1, 1, 1).expand(16, 3, 10, 10)
    for tone, expected in ((0.1 * (time >= 8), 1.0), (0.01 * time, 0.0)):
        steps = steps_of(tone.float())
        fit = fit_steps(steps, matches_of(16, tuple(steps)), 16)
        assert fit.explained[7].item() == pytest.approx(expected, abs=1e-3)


def test_what_is_seen_is_the_smaller_share():
    tone = noisy_tone(8)
    steps = steps_of(tone)
    matches = matches_of(8, tuple(steps)) | {1: matches_of(8, (1,), seen=0.5)[1]}
    assert fit_steps(steps, matches, 8).visible.tolist() == [0.5] * 7


@pytest.mark.parametrize(
    ("found", "decided", "frames", "expected"),
    [
        ((), 0, 100, []),
        ((16,), 20, 100, []),  # the shot's beginning and one seam: nothing repeats yet
        ((16, 32), 40, 40, [48, 64]),
        ((16, 48), 50, 40, [64, 80]),  # one was overlooked
        ((5, 21, 37), 40, 40, [53, 69]),  # the shot begins within a chunk
        ((5, 21), 30, 40, []),
        ((16, 32, 41), 45, 40, []),  # no period
        ((33, 66), 70, 20, []),  # the next one, 99, is not in sight
    ],
)
def test_the_period_is_found_by_itself(found, decided, frames, expected):
    places = [place for place in expected_seams(found, decided, frames) if place >= decided]
    assert places == expected


@pytest.mark.parametrize(("where", "found"), [("everywhere", [9]), ("by chance", [9]), ("a sign", []), ("a lamp", [])])
def test_a_step_in_few_places_is_no_seam(where, found):
    """However much it stays there."""
    field = torch.zeros(3, 10, 10)
    if where == "everywhere":
        field += 0.1
    elif where == "by chance":
        field = 0.1 * torch.randn(3, 10, 10, generator=rng(1))
    elif where == "a sign":
        field[:, 2:4, 2:6] = 0.5
    else:
        field[0, 6:, :2] = 0.4
    tone = field * (torch.arange(20) >= 10).view(-1, 1, 1, 1) + torch.zeros(20, 3, 10, 10)
    fit = fit_steps(steps_of(tone), matches_of(20, (1, 2, 4, -1, -2, -4)), 20)
    assert select_seams(fit, 0, []) == select_seams(fit, 0, [9]) == found
    whole = torch.full((3, 10, 10), 0.1).expand(20, -1, -1, -1) * (torch.arange(20) >= 10).view(-1, 1, 1, 1)
    even = fit_steps(steps_of(whole), matches_of(20, (1, 2, 4, -1, -2, -4)), 20)
    assert even.shared[9].item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("red_green_blue", "regions", "found"),
    [((0.5, 0.4, 0.3), 5, True), ((0.9, 0.65, 0.4), 5, True), ((0.9, 0.65, 0.4), 3, False), ((0.8, 0.8, 0.8), 5, False),
     ((1.2, 0.9, 0.6), 5, False)],
    ids=["another tint", "a strong one", "of a part", "light", "too strong"],
)  # fmt: skip
def test_an_odd_first_frame_may_differ_more_if_all_of_its_colour_does(red_green_blue, regions, found):
    """A lamp that goes out after the first frame leaves colours as they are, or is in a part of the picture."""
    tone = 0.002 * torch.randn(16, 3, 10, 10, generator=rng(4))
    tone[0, :, : 2 * regions, : 2 * regions] += torch.tensor(red_green_blue).view(3, 1, 1)
    steps = steps_of(tone)
    opening = select_opening(fit_steps(steps, matches_of(16, tuple(steps)), 16))
    assert opening == (0 if found else None)

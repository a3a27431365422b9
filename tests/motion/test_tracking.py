"""Bookkeeping of the stream: every frame once and in order, repeats known as such, flow between the right two."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.correction.types import FrameRecord
from deflicker.motion.tracking import LONGEST_GAP
from tests.correction.scenes import texture
from tests.driving import record, track

HEIGHT, WIDTH = 48, 64
MARK = 0.004
"""Light by which frames of one texture are told apart: more than a repeat differs, nothing a cut is judged by."""


LOOKS = [texture(HEIGHT, WIDTH, seed) for seed in range(4)]


class Subtraction:
    """Stands in for the network: a frame's features are its light, the flow between two the difference of them."""

    def __init__(self) -> None:
        self.most = 0

    def features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        self.most = max(self.most, len(frames))
        return list(frames.mean((1, 2, 3)))

    def flow(self, first: list[torch.Tensor], second: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        assert len(first) == len(second) > 0
        difference = (torch.stack(second) - torch.stack(first)).view(-1, 1, 1, 1).expand(-1, 2, HEIGHT, WIDTH)
        return difference, -difference


def tracked(pictures: list[tuple[int, int]], **options: int) -> list[FrameRecord]:
    """Track frames given as (look, mark)."""
    frames = ((number, LOOKS[which] + MARK * mark) for number, (which, mark) in enumerate(pictures))
    return list(track(frames, Subtraction(), **options))


counts = pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 16, 17, 30])


@counts
def test_every_frame_once_and_in_order(count):
    found = tracked([(0, number % 2) for number in range(count)])
    assert [each.picture for each in found] == list(range(count))
    assert [each.starts_shot for each in found] == [number == 0 for number in range(count)]
    assert not any(each.is_duplicate for each in found)
    for number, each in enumerate(found):
        torch.testing.assert_close(each.proxy, LOOKS[0] + MARK * (number % 2))


@counts
def test_flow_joins_each_frame_to_the_one_before(count):
    marks = [number * number % 7 for number in range(count)]
    for before, each in enumerate(tracked([(0, mark) for mark in marks]), -1):
        if each.picture == 0:
            assert each.forward_px is None
            assert each.backward_px is None
            continue
        step = MARK * (marks[each.picture] - marks[before])
        if not each.is_duplicate:
            torch.testing.assert_close(each.forward_px, torch.full((2, HEIGHT, WIDTH), step), atol=1e-5, rtol=0)
            torch.testing.assert_close(each.backward_px, -each.forward_px)


@counts
@pytest.mark.parametrize("batch_frames", [1, 2, 3, 8])
def test_batches_do_not_matter(count, batch_frames):
    pictures = [(number // 11 % 4, number % 3) for number in range(count)]
    wanted, found = tracked(pictures), tracked(pictures, batch_frames=batch_frames)
    assert [(f.picture, f.starts_shot, f.is_duplicate) for f in found] == [
        (w.picture, w.starts_shot, w.is_duplicate) for w in wanted
    ]
    for w, f in zip(wanted, found, strict=True):
        assert (f.forward_px is None) == (w.forward_px is None)
        if f.forward_px is not None:
            torch.testing.assert_close(f.forward_px, w.forward_px, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cut", [1, 5, 7, 8, 9, 15, 16, 19])
def test_a_cut_opens_a_shot(cut):
    found = tracked([(int(number >= cut), number % 2) for number in range(20)])
    assert [each.picture for each in found if each.starts_shot] == [0, cut]
    for each in found:
        assert (each.forward_px is None) == (each.backward_px is None) == each.starts_shot


def test_shots_of_few_frames():
    found = tracked([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)])
    assert [each.starts_shot for each in found] == [True, False] * 4


@pytest.mark.parametrize("times", [3, 4])
def test_repeats_are_held_and_flow_skips_them(times):
    """Every picture shown as often, as animation is."""
    found = tracked([(0, number // times * 2 % 5) for number in range(20)])
    assert [each.is_duplicate for each in found] == [number % times > 0 for number in range(20)]
    for each in found:
        assert not (each.is_duplicate and each.starts_shot)
        assert (each.forward_px is None) == (each.is_duplicate or each.picture == 0)
        if each.picture % times == 0 and each.picture > 0:
            step = MARK * (each.picture // times * 2 % 5 - (each.picture // times - 1) * 2 % 5)
            assert each.forward_px.mean().item() == pytest.approx(step, abs=1e-5)


def test_a_cut_to_a_held_picture():
    found = tracked([(0, 0), (0, 1), *[(1, 0)] * 5])
    assert [each.starts_shot for each in found] == [True, False, True, False, False, False, False]
    assert [each.is_duplicate for each in found] == [False, False, False, True, True, True, False]
    assert found[6].forward_px.abs().max() == 0


@pytest.mark.parametrize("count", [10, 40, 64])
def test_what_stays_longer_than_four_frames_is_seen_to_last(count):
    """And costs no network."""
    network, frames = Subtraction(), ((number, LOOKS[0]) for number in range(count))
    found = list(track(frames, network))
    assert [each.picture for each in found] == list(range(count))
    assert [each.picture for each in found if each.is_duplicate] == [1, 2, 3]
    assert [each.picture for each in found if each.starts_shot] == [0]
    assert all(each.forward_px is not None and each.forward_px.abs().max() == 0 for each in found[4:])
    assert network.most == 1


@pytest.mark.parametrize("batch_frames", [1, 3, 8])
@pytest.mark.parametrize("times", [2, 3, 4])
def test_what_comes_back_as_it_was_is_seen_to_last(times, batch_frames):
    """A light goes on and off: only before it has gone on again is nothing known."""
    frames = [(number, LOOKS[0] + MARK * (number // times % 2)) for number in range(24)]
    found = list(track(frames, Subtraction(), batch_frames=batch_frames))
    assert [each.picture for each in found if each.is_duplicate] == [n for n in range(2 * times) if n % times]


def test_a_kept_frame_between_does_not_hide_that_a_picture_comes_back():
    proxies = [LOOKS[0] + MARK * (number // 2 % 2) for number in range(12)]
    frames = [record(n, p + MARK if n == 3 else p, p, "flash" if n == 3 else None) for n, p in enumerate(proxies)]
    assert [each.picture for each in track(frames, Subtraction()) if each.is_duplicate] == [1]


def test_repeats_that_are_none_to_the_last_bit_are_followed():
    """Something small moves on a still."""
    frames = ((number, LOOKS[0] + 1e-4 * number) for number in range(10))
    found = list(track(frames, Subtraction()))
    assert [each.picture for each in found if each.is_duplicate] == [1, 2, 3]
    assert found[5].forward_px.mean().item() == pytest.approx(1e-4, rel=0.02)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=26), st.integers(1, 9))
def test_any_sequence(pictures, batch_frames):
    found = tracked(pictures, batch_frames=batch_frames)
    assert [each.picture for each in found] == list(range(len(pictures)))
    for before, each in zip([None, *pictures], found, strict=False):
        if each.is_duplicate:
            assert before == pictures[each.picture]
            assert not each.starts_shot
        assert (each.forward_px is None) == (each.backward_px is None) == (each.starts_shot or each.is_duplicate)
    assert not found or found[0].starts_shot


def test_no_more_than_a_batch_is_asked_for_at_once():
    asked, flow = [], Subtraction()

    def frames():
        for number in range(30):
            asked.append(number)
            yield number, LOOKS[0] + MARK * (number % 2)

    for each in track(frames(), flow, batch_frames=5):
        assert len(asked) <= each.picture + 1 + 2 * 5
    assert flow.most <= 6


# --- Guide and key pictures -------------------------------------------------------------------------------------------


def test_motion_and_cuts_are_looked_for_in_the_guide():
    """The video jumps about; its guide is calm but for a cut."""
    guide = [(0, 0), (0, 1), (0, 3), (2, 0), (2, 5)]
    frames = [
        record(number, LOOKS[number % 4], LOOKS[which] + MARK * mark) for number, (which, mark) in enumerate(guide)
    ]
    found = list(track(frames, Subtraction()))
    assert [each.starts_shot for each in found] == [True, False, False, True, False]
    steps = [None if each.forward_px is None else round(float(each.forward_px.mean()) / MARK) for each in found]
    assert steps == [None, 1, 2, None, 5]
    for number, each in enumerate(found):
        assert torch.equal(each.proxy, LOOKS[number % 4])


def test_what_repeats_is_judged_by_the_video():
    frames = [record(number, LOOKS[0] + MARK * (number // 2), LOOKS[1]) for number in range(6)]
    assert [each.is_duplicate for each in track(frames, Subtraction())] == [False, True] * 3


def keyed(found: list[FrameRecord]) -> dict[int, int]:
    """Frames that were matched to a key, with the marks between."""
    return {each.picture: round(float(each.to_key_px.mean()) / MARK) for each in found if each.to_key_px is not None}


@pytest.mark.parametrize("batch_frames", [1, 3, 8])
def test_now_and_then_there_is_flow_to_the_first_picture_of_the_shot(batch_frames):
    pictures = [(0, mark) for mark in range(9)] + [(2, mark) for mark in range(6)]
    found = tracked(pictures, key_every=4, batch_frames=batch_frames)
    assert keyed(found) == {4: -4, 8: -8, 13: -4}
    for each in found:
        assert (each.to_key_px is None) == (each.from_key_px is None)
        if each.to_key_px is not None:
            assert torch.equal(each.from_key_px, -each.to_key_px)


def test_a_given_key_is_matched_from_the_first_picture_on():
    frames = ((number, LOOKS[0] + MARK * number) for number in range(5))
    assert keyed(list(track(frames, Subtraction(), key_every=2, key=LOOKS[0] + MARK * 9))) == {0: 9, 2: 7, 4: 5}


def test_no_flow_to_a_key_unless_it_is_asked_for():
    assert keyed(tracked([(0, mark) for mark in range(20)])) == {}


# --- Frames that are kept as they are ---------------------------------------------------------------------------------


def with_kept(count: int, kept: set[int], **options: int) -> list[FrameRecord]:
    """A look in slowly changing light, of which these frames are kept."""
    proxies = [LOOKS[0] + MARK * (number % 2) + MARK / 4 * number for number in range(count)]
    frames = [record(n, proxy, proxy, "excluded" if n in kept else None) for n, proxy in enumerate(proxies)]
    return list(track(frames, Subtraction(), **options))


@pytest.mark.parametrize("batch_frames", [1, 3, 8])
@pytest.mark.parametrize("kept", [{5}, {5, 6, 7}, {0, 1}, {19}, {7, 8, 9, 10, 11, 12, 13, 14}, {3, 9, 15}])
def test_kept_frames_have_no_motion_and_the_next_leads_back_over_them(kept, batch_frames):
    found = with_kept(20, kept, batch_frames=batch_frames)
    assert [each.picture for each in found] == list(range(20))
    assert {each.picture for each in found if each.skip} == kept
    before = None
    for each in found:
        if each.skip:
            assert each.forward_px is None
            continue
        if before is not None:
            step = each.proxy.mean() - before.proxy.mean()
            torch.testing.assert_close(each.forward_px.mean(), step, atol=1e-5, rtol=0)
            assert each.after_gap == (each.picture - before.picture > 1)
        before = each
    assert [each.picture for each in found if each.starts_shot and not each.skip] == [min(set(range(20)) - kept)]


@pytest.mark.parametrize("batch_frames", [1, 8])
def test_a_long_gap_opens_a_shot(batch_frames):
    found = with_kept(40, set(range(10, 10 + LONGEST_GAP + 1)), batch_frames=batch_frames)
    opening = 10 + LONGEST_GAP + 1
    assert [each.picture for each in found if each.starts_shot and not each.skip] == [0, opening]
    # What waits in the shot before can go on as soon as the gap is too long.
    assert [each.picture for each in found if each.starts_shot and each.skip] == [opening - 1]


def test_a_cut_within_a_gap_is_found():
    frames = [
        record(n, look := LOOKS[n > 10] + MARK * (n % 2), look, "excluded" if 8 <= n <= 12 else None) for n in range(20)
    ]
    assert [each.picture for each in track(frames, Subtraction()) if each.starts_shot] == [0, 13]


def test_what_repeats_a_kept_frame_is_a_picture():
    """It is not the picture before the kept frame once more."""
    proxies = [LOOKS[0] + MARK * 2 * min(n, 5) for n in range(10)]
    found = list(track([record(n, p, p, "flash" if n == 5 else None) for n, p in enumerate(proxies)], Subtraction()))
    assert [each.picture for each in found if each.is_duplicate] == [7, 8, 9]
    assert found[6].forward_px.mean().item() == pytest.approx(2 * MARK, abs=1e-5)


def test_no_video_of_kept_frames_makes_anybody_wait():
    frames = iter([record(n, LOOKS[0], LOOKS[0], "excluded") for n in range(60)])
    stream = track(frames, Subtraction(), batch_frames=4)
    assert [next(stream).picture for _ in range(20)] == list(range(20))
    assert next(frames).picture <= 24

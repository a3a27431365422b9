"""Windows and shots: every frame once, nothing across a shot's end, no joints to be seen between windows."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deflicker.core.presets import PRESETS, Preset
from deflicker.correction.apply import Correction
from deflicker.correction.curve import apply_curve
from deflicker.correction.tone.solve import solve
from deflicker.correction.tone.tone_options import ToneOptions
from deflicker.correction.tone.windows import ToneStage
from deflicker.correction.types import FrameRecord
from tests.correction.scenes import global_noise, local_noise, pan, shaking, still
from tests.driving import correct, drive, record

HEIGHT, WIDTH = 32, 48
SMALL = replace(PRESETS["fast"], lags=(1, 2), history_frames=4, core_frames=4, lookahead_frames=4, iterations=(4, 4))
LARGER = replace(SMALL, history_frames=8, core_frames=8, lookahead_frames=8, iterations=PRESETS["balanced"].iterations)


def as_tracked(shots: Sequence[torch.Tensor], holds: Sequence[int] = (), step: tuple[int, int] = (0, 0)) -> list:
    """A stream of shots; picture i is shown `holds[i]` times more (the list goes round)."""
    stream: list[FrameRecord] = []
    flow_px = torch.tensor(step).float().view(2, 1, 1)
    pictures = 0
    for shot in shots:
        for number, proxy in enumerate(shot):
            opens = number == 0
            there = None if opens else flow_px.expand(2, *proxy.shape[-2:])
            back = None if opens else -flow_px.expand(2, *proxy.shape[-2:])
            motion = {"forward_px": there, "backward_px": back}
            stream.append(replace(record(len(stream), proxy), starts_shot=opens, **motion))
            for _ in range(holds[pictures % len(holds)] if holds else 0):
                stream.append(replace(record(len(stream), proxy), is_duplicate=True))
            pictures += 1
    return stream


def flickering(frames: int, seed: int = 0, sd: float = 0.1) -> torch.Tensor:
    clean = still(frames, HEIGHT, WIDTH, seed)
    return clean * global_noise(frames, sd, seed + 1).exp() if frames > 1 else clean


def gains(corrected: Sequence[FrameRecord]) -> torch.Tensor:
    """Log gain of a mid-grey in every cell, curve and cells together."""
    none = torch.zeros(3, HEIGHT // 8, WIDTH // 8)
    return torch.stack([none if each.correction is None else of_grey(each.correction) for each in corrected])


def of_grey(correction: Correction) -> torch.Tensor:
    grey = torch.full((3, HEIGHT // 8, WIDTH // 8), 0.4)
    return (
        correction.log_gain
        + (grey if correction.curve is None else apply_curve(grey, correction.curve)).log()
        - grey.log()
    )


def total_frames(corrected: Sequence[FrameRecord]) -> tuple[float, float]:
    return tuple(
        sum(float(sums.frames) for each in corrected if (sums := getattr(each, when)) is not None)
        for when in ("flicker_before", "flicker_after")
    )


lengths = st.lists(st.integers(1, 15), min_size=0, max_size=4)


@settings(deadline=None, max_examples=12)
@given(lengths, st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_every_frame_once_and_in_order(shots, holds):
    stream = as_tracked([flickering(n, seed) for seed, n in enumerate(shots)], holds)
    found = list(correct(stream, SMALL))
    assert [each.picture for each in found] == [each.picture for each in stream]
    assert [each.starts_shot for each in found] == [each.starts_shot for each in stream]
    for tracked, each in zip(stream, found, strict=True):
        assert each.correction is None or each.correction.log_gain.shape == (3, HEIGHT // 8, WIDTH // 8)
        assert each.correction is None or of_grey(each.correction).abs().max() > 0
        assert (each.flicker_before is None) == (each.flicker_after is None)
        if tracked.is_duplicate:
            assert torch.equal(gains([each]), gains([found[each.picture - 1]]))


@settings(deadline=None, max_examples=5)
@given(lengths)
def test_shots_know_nothing_of_each_other(shots):
    pictures = [flickering(n, seed) for seed, n in enumerate(shots)]
    together = list(correct(as_tracked(pictures), SMALL))
    alone = [each for shot in pictures for each in correct(as_tracked([shot]), SMALL)]
    assert len(together) == len(alone)
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(gains([a]), gains([b]))


@settings(deadline=None, max_examples=8)
@given(lengths, st.lists(st.integers(0, 1), min_size=1, max_size=5))
def test_flicker_is_counted_once(shots, holds):
    """Every picture that has a neighbour on both sides, whatever window it was decided in."""
    stream = as_tracked([flickering(n, seed) for seed, n in enumerate(shots)], holds)
    expected = sum(max(0, n - 2) for n in shots)
    assert total_frames(list(correct(stream, SMALL))) == (expected, expected)


def summed(corrected: Sequence[FrameRecord], when: str) -> tuple[float, float]:
    total = None
    for each in corrected:
        sums = getattr(each, when)
        if sums is not None:
            total = sums if total is None else total + sums
    return total.index()


def test_windows_measure_what_the_whole_clip_does():
    stream = as_tracked([flickering(30)])
    whole = replace(SMALL, core_frames=40)
    assert summed(list(correct(stream, SMALL)), "flicker_before") == pytest.approx(
        summed(list(correct(stream, whole)), "flicker_before"), rel=1e-4
    )


STEPS = [(0, 0), (1, 0)]


@pytest.mark.parametrize("step", STEPS)
def test_no_joints_between_windows(step):
    """Small windows leave hardly more than one window over everything, within them and between."""
    flicker = global_noise(40, 0.1)
    clip = pan(40, HEIGHT, WIDTH, step=step) * flicker.exp()

    windows = list(correct(as_tracked([clip], step=step), LARGER))
    whole = list(correct(as_tracked([clip], step=step), replace(LARGER, core_frames=64)))
    left, left_whole = gains(windows) + flicker, gains(whole) + flicker
    assert shaking(left) < shaking(flicker) / 10
    assert shaking(left_whole) < shaking(flicker) / 10
    jumps = (left[1:] - left[:-1]).mean((1, 2, 3)).abs()
    assert jumps.max() < 0.15 * (flicker[1:] - flicker[:-1]).abs().max()
    assert summed(windows, "flicker_after")[0] < summed(windows, "flicker_before")[0] / 10


def test_regions_come_to_rest_in_windows_too():
    flicker = local_noise(32, HEIGHT, WIDTH, 0.1)
    clip = still(32, HEIGHT, WIDTH) * flicker.exp()

    found = list(correct(as_tracked([clip]), LARGER))
    before, after = summed(found, "flicker_before"), summed(found, "flicker_after")
    assert after[1] < before[1] / 3


@pytest.mark.parametrize("name", PRESETS)
def test_a_clean_clip_is_left_alone(name):
    for step in STEPS:
        found = list(correct(as_tracked([pan(40, HEIGHT, WIDTH, step=step)], step=step), PRESETS[name]))
        assert [each.correction for each in found] == [None] * 40
        assert summed(found, "flicker_before") == summed(found, "flicker_after")


@pytest.mark.parametrize("count", [1, 2])
def test_too_short_to_flicker(count):
    found = list(correct(as_tracked([flickering(count)]), SMALL))
    assert [each.correction for each in found] == [None] * count


def test_nothing_in_nothing_out():
    assert list(correct([], SMALL)) == []


@pytest.mark.parametrize("holds", [(), (3,), (20,)])
def test_waiting_is_bounded(holds):
    """Frames come out while others still go in: no more wait than two windows hold."""
    taken = 0

    def stream():
        nonlocal taken
        for each in as_tracked([flickering(40)], holds):
            taken += 1
            yield each

    most = SMALL.core_frames + SMALL.lookahead_frames
    longest = max(holds, default=0) + 1
    for each in correct(stream(), SMALL):
        assert taken - each.picture <= 2 * most + longest + 1


def test_a_preset_is_taken_at_its_word():
    """Another preset, another answer: its lags and its effort are used."""

    def first(preset: Preset) -> torch.Tensor:
        regions = local_noise(16, HEIGHT, WIDTH, 0.1).exp()
        return gains(list(correct(as_tracked([still(16, HEIGHT, WIDTH) * regions]), preset)))

    assert not torch.equal(first(SMALL), first(replace(SMALL, lags=(1, 2, 4))))
    assert not torch.equal(first(SMALL), first(replace(SMALL, iterations=(1,))))


# --- Seams and anchors over windows -----------------------------------------------------------------------------------


def chunked(frames: int, every: int, seed: int = 4) -> torch.Tensor:
    """Log tone, another in each chunk."""
    tone = 0.1 * torch.randn(-(-frames // every), 3, 1, 1, generator=torch.Generator().manual_seed(seed))
    return tone.repeat_interleave(every, 0)[:frames]


@pytest.mark.parametrize("every", [8, 16])
def test_seams_go_in_windows_as_they_do_at_once(every):
    """At one level all through, whichever window a seam is decided in."""
    tone = chunked(72, every)
    clip = still(72, HEIGHT, WIDTH) * tone.exp()
    preset = replace(LARGER, history_frames=16, core_frames=16, lookahead_frames=16, lags=(1, 2, 4))
    windows = gains(list(correct(as_tracked([clip]), preset)))
    whole = gains(list(correct(as_tracked([clip]), replace(preset, core_frames=100))))
    jumps = (tone[1:] - tone[:-1]).abs().amax((1, 2, 3))
    for found in (windows, whole):
        left = (found + tone)[1:] - (found + tone)[:-1]
        assert left.abs().amax((1, 2, 3)).max() < jumps.max() / 20
    assert (windows - whole).abs().max() < 0.01


def test_seams_can_be_switched_off():
    """With them, the correction is steady inside a chunk; without, what the tone stage makes of a step is a ramp."""
    clip = still(32, HEIGHT, WIDTH) * chunked(32, 8).exp()
    preset = replace(LARGER, lags=(1, 2, 4))
    options = ToneOptions.of(preset)
    on, left = (
        gains(list(drive(ToneStage(replace(options, seams=seams)), as_tracked([clip])))).diff(dim=0)
        for seams in (True, False)
    )
    inside = [number for number in range(31) if number not in (7, 15, 23)]
    assert on[inside].abs().max() < 0.002
    assert left[inside].abs().max() > 0.01


def test_drift_goes_in_windows_as_it_does_at_once():
    slide = torch.linspace(0, 0.2, 60).view(-1, 1, 1, 1) * torch.tensor([1, 0.4, -0.6]).view(1, 3, 1, 1)
    clip = still(60, HEIGHT, WIDTH) * slide.exp()
    windows = gains(list(correct(as_tracked([clip]), LARGER, anchor=1)))
    whole = gains(list(correct(as_tracked([clip]), replace(LARGER, core_frames=100), anchor=1)))
    assert (windows + slide).abs().max() < 0.03
    assert (windows - whole).abs().max() < 0.01
    half = gains(list(correct(as_tracked([clip]), LARGER, anchor=0.5)))
    assert torch.allclose(half, windows / 2, atol=1e-4)
    assert not gains(list(correct(as_tracked([clip]), LARGER))).any()


@pytest.mark.parametrize("step", STEPS)
def test_a_clean_clip_keeps_its_look_when_anchored(step):
    clip = pan(40, HEIGHT, WIDTH, step=step)
    assert gains(list(correct(as_tracked([clip], step=step), LARGER, anchor=1))).abs().max() < 0.003


# --- No number is better than a wrong one -----------------------------------------------------------------------------


def spoilt(frames: int, at: int, value: float) -> list:
    """A flickering shot with one bad number in the flow that leads to frame `at`."""
    stream = as_tracked([flickering(frames)])
    forward_px = stream[at].forward_px.clone()
    forward_px[0, 5, 5] = value
    stream[at] = replace(stream[at], forward_px=forward_px)
    return stream


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("at", "left"), [(3, range(4)), (7, range(8)), (12, range(8, 12)), (19, range(12, 20))])
def test_a_window_that_sees_no_number_stays_as_it_is(value, at, left, caplog):
    found = list(correct(spoilt(20, at, value), SMALL))
    assert [each.picture for each in found if each.diverged] == list(left)
    assert all((each.correction is None) == each.diverged for each in found)
    assert all(each.correction is None or gains([each]).isfinite().all() for each in found)
    spans = [(int(r.args[0]), int(r.args[1])) for r in caplog.records]  # type: ignore[index, arg-type]
    assert [n for first, last in spans for n in range(first, last + 1)] == list(left)
    assert all(sums is None or sums.index() for each in found for sums in (each.flicker_before, each.flicker_after))


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 9.0])
def test_a_solve_that_diverges_changes_nothing(value, caplog):
    """9 is a gain of 8000: a number, but not one that light has."""
    calls = []

    def diverging(window, state, options):
        solution = solve(window, state, options)
        calls.append(window.core)
        if len(calls) == 2:
            solution.log_gain[1, 0, 0, 0] = value
        return solution

    found = list(correct(as_tracked([flickering(20)], holds=[1]), SMALL, solver=diverging))
    first, core = 2 * calls[0], 2 * calls[1]
    assert [each.picture for each in found if each.diverged] == list(range(first, first + core))
    assert all((each.correction is None) == each.diverged for each in found)
    assert [record.args[:2] for record in caplog.records] == [(first, first + core - 1)]


# --- Frames that are kept as they are ---------------------------------------------------------------------------------


def with_kept(shot: torch.Tensor, kept: dict[int, str]) -> list[FrameRecord]:
    """A still shot in which some frames are kept, as `track` hands it on."""
    none, after_gap, stream = torch.zeros(2, *shot.shape[-2:]), False, []
    opened = False
    for number, proxy in enumerate(shot):
        if number in kept:
            stream.append(replace(record(number, proxy, skip=kept[number]), starts_shot=not stream))
            after_gap = opened
            continue
        flow_px = none if opened else None
        motion = {"forward_px": flow_px, "backward_px": flow_px, "after_gap": after_gap}
        stream.append(replace(record(number, proxy), starts_shot=not opened, **motion))
        opened, after_gap = True, False
    return stream


@pytest.mark.parametrize("kept", [{9}, {0}, {0, 1, 2}, {29}, {9, 10, 11, 20}, {3, 7, 11, 15, 19, 23}])
def test_kept_frames_stay_and_do_not_touch_the_others(kept):
    """Whatever they show, the rest comes out as if they were not there."""
    shot = flickering(30)
    lit = shot.clone()
    lit[sorted(kept)] = 1 - lit[sorted(kept)]
    found = list(correct(with_kept(lit, dict.fromkeys(kept, "flash")), LARGER))
    rest = [n for n in range(30) if n not in kept]
    alone = list(correct(as_tracked([shot[rest]]), LARGER))
    assert [each.picture for each in found] == list(range(30))
    assert {each.picture for each in found if each.skip} == kept
    assert all(each.correction is None and each.flicker_before is None for each in found if each.skip)
    torch.testing.assert_close(gains([found[n] for n in rest]), gains(alone))
    assert gains(alone).abs().amax() > 0.05


def test_a_video_of_kept_frames_only():
    shot = flickering(20)
    found = list(correct(with_kept(shot, dict.fromkeys(range(20), "excluded")), SMALL))
    assert [(each.picture, each.correction) for each in found] == [(n, None) for n in range(20)]


def test_light_that_changes_during_a_gap_is_no_seam():
    """It steps there and stays, but who knows what happened in between."""
    shot = still(40, HEIGHT, WIDTH)
    shot = torch.cat([shot[:20], 1.06 * shot[20:]])
    plain = gains(list(correct(as_tracked([torch.cat([shot[:18], shot[22:]])]), LARGER)))
    assert plain.abs().max() > 0.02  # without a gap it is one
    found = list(correct(with_kept(shot, dict.fromkeys(range(18, 22), "excluded")), LARGER))
    assert gains(found).abs().max() < 0.005

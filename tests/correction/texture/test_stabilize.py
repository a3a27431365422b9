"""The stream's second pass: every frame once, boil taken out, nothing touched elsewhere, nothing across a cut."""

import io
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from deflicker.correction.apply import Correction
from deflicker.correction.texture import keyframes as keys_module
from deflicker.correction.texture import stabilize as steady_module
from deflicker.correction.texture.stabilize import AHEAD, BLOCK, Steadying, steady
from deflicker.correction.types import Corrected
from deflicker.pipeline.checkpoint.serialize import freeze, thaw
from tests.correction.scenes import texture

STILL = torch.zeros(2, 9, 12)


def boil(frames, deviation, seed=2):
    """Grain of some pixels, new in every frame."""
    noise = torch.randn(frames, 1, 72, 96, generator=torch.Generator().manual_seed(seed))
    grain = avg_pool2d(noise, 3, 1, 1) - avg_pool2d(noise, 7, 1, 3)
    return deviation * (grain / grain.std())[:, 0]


def shot(lumas, *, first=0, held=()):
    """A still shot whose frames are (number, luma)."""
    frames = []
    for number, luma in enumerate(lumas):
        motion = (None, None) if number == 0 or number in held else (STILL, STILL)
        frames.append(Corrected((first + number, luma), None, number == 0, None, None, number in held, *motion))
    return frames


def luma_of(item, correction):
    assert correction is None
    return item[1]


def run(frames, reach=2):
    return list(steady(iter(frames), luma_of, reach=reach))


def clean(seed=0):
    return texture(72, 96, seed)[0]


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


@pytest.mark.parametrize("reach", [0, 2, 4])
@pytest.mark.parametrize("count", [1, 2, 3, BLOCK, BLOCK + AHEAD + 3, 3 * BLOCK + 5])
def test_every_frame_comes_once_and_in_order(count, reach):
    found = run(shot(clean() + boil(count, 0.02)), reach)
    assert [frame.item[0] for frame in found] == list(range(count))
    assert [frame.opens_shot for frame in found] == [True] + [False] * (count - 1)


def test_a_still_shot_comes_back_as_the_same_objects():
    frames = shot([clean()] * 20)
    assert all(a is b for a, b in zip(run(frames), frames, strict=True))


def test_grain_below_a_code_value_is_left_alone():
    frames = shot(clean() + boil(20, 0.5 / 255))
    assert all(a is b for a, b in zip(run(frames), frames, strict=True))


@pytest.mark.parametrize(("reach", "gain_db"), [(2, 3.0), (4, 4.0)])
def test_boil_goes_from_the_first_frame_to_the_last(reach, gain_db):
    truth = clean()
    frames = shot(truth + boil(22, 0.02))
    found = run(frames, reach)
    for before, after in zip(frames, found, strict=True):
        luma = before.item[1]
        assert psnr(luma + after.correction.detail[0], truth) > psnr(luma, truth) + gain_db - 1.5
    inner = found[reach:-reach]
    gains = [psnr(f.item[1] + f.correction.detail[0], truth) - psnr(f.item[1], truth) for f in inner]
    assert sum(gains) / len(gains) > gain_db


def test_nothing_passes_a_cut():
    """Two boiling shots together come out as each of them alone."""
    one, two = shot(clean() + boil(13, 0.02)), shot(clean(5) + boil(14, 0.02, seed=9), first=13)
    together, apart = run([*one, *two]), [*run(one), *run(two)]
    for a, b in zip(together, apart, strict=True):
        assert torch.equal(a.correction.detail, b.correction.detail)


def test_held_frames_share_their_pictures_detail():
    lumas = clean() + boil(24, 0.02)
    lumas[1::2] = lumas[::2]
    found = run(shot(lumas, held=range(1, 24, 2)))
    for shown, again in zip(found[::2], found[1::2], strict=True):
        assert again.correction.detail is shown.correction.detail


def test_a_long_shot_keeps_few_pictures():
    """What has been given out and is not asked for any more is let go."""
    alive = 0

    class Luma:
        def __init__(self, luma):
            nonlocal alive
            alive += 1
            self.luma = luma

        def __del__(self):
            nonlocal alive
            alive -= 1

    most = 0

    def frames():
        nonlocal most
        for number, luma in enumerate(clean() + boil(90, 0.02)):
            motion = (STILL, STILL) if number else (None, None)
            yield Corrected(Luma(luma), None, number == 0, None, None, False, *motion)
            most = max(most, alive)

    for _ in steady(frames(), lambda item, _: item.luma, reach=2):
        pass
    assert most <= 2 * AHEAD + BLOCK + 2 * 2 + 4


def test_tone_is_kept_beside_the_detail():
    lumas = clean() + boil(20, 0.02)
    gain = Correction(torch.full((3, 2, 2), 0.1))
    frames = [
        Corrected((n, luma), gain, n == 0, None, None, False, *((STILL, STILL) if n else (None, None)))
        for n, luma in enumerate(lumas)
    ]
    found = list(steady(iter(frames), lambda item, correction: item[1], reach=2))
    assert all(torch.equal(frame.correction.log_gain, gain.log_gain) for frame in found)
    assert all(frame.correction.detail is not None for frame in found)


def test_boil_found_late_is_taken_out_of_what_still_waits():
    """The first picture of a block hides it: the frames before the next block are looked at again."""
    truth = clean()
    lumas = truth + boil(24, 0.02)
    lumas[:3] = lumas[1]
    found = run(shot(lumas))
    assert all(frame.correction is not None for frame in found[4:])
    assert all(psnr(f.item[1] + f.correction.detail[0], truth) > psnr(f.item[1], truth) + 1 for f in found[4:])


def test_one_odd_picture_opens_no_gate():
    lumas = clean().expand(24, -1, -1).clone()
    lumas[12] += boil(1, 0.03)[0]
    frames = shot(lumas)
    assert all(a is b for a, b in zip(run(frames), frames, strict=True))


def test_detail_that_is_no_number_is_left_out(monkeypatch):
    """The picture stays as tone left it, and says so; those around it are steadied, and remember nothing of it."""
    honest = steady_module.load_attention
    frames = shot(clean() + boil(22, 0.02))
    usual = run(frames)

    def failing(device):
        def attended(seen):
            found = honest(device)(seen)
            if torch.equal(seen.own_luma[0, 0, :72, :96], frames[9].item[1]):
                found = replace(found, luma=[band * float("nan") for band in found.luma])
            return found

        return attended

    monkeypatch.setattr(steady_module, "load_attention", failing)
    found = run(frames)
    assert [frame.item[0] for frame in found if frame.diverged] == [9]
    assert found[9].correction is None
    for a, b in zip(found[:9], usual[:9], strict=True):
        assert torch.equal(a.correction.detail, b.correction.detail)
    for a, b in zip(found[10:], usual[10:], strict=True):
        assert float((a.correction.detail - b.correction.detail).abs().mean()) < 0.005


def test_boil_that_is_no_number_does_not_hide_the_boil_around_it(monkeypatch):
    honest = steady_module.boiling
    frames = shot(clean() + boil(22, 0.02))

    def failing(luma, neighbours):
        found = honest(luma, neighbours)
        if torch.equal(luma[0, 0], frames[8].item[1]):
            nan = found.explained * float("nan")
            found = replace(found, explained=nan, change=nan)
        return found

    monkeypatch.setattr(steady_module, "boiling", failing)
    found = run(frames)
    assert all(frame.correction is not None and frame.correction.detail.isfinite().all() for frame in found)


@pytest.mark.parametrize("at", [1, 3, 12])
def test_where_memory_ends_texture_goes_on_elsewhere(monkeypatch, at):
    """On the CPU all the while here; what was seen before is seen anew."""
    frames = shot(clean() + boil(22, 0.02))
    expected = run(frames)
    calls = []

    def full_once(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return boiling(*arguments)

    boiling = steady_module.boiling
    monkeypatch.setattr(steady_module, "boiling", full_once)
    ladder = steady_module.step_down()
    found = list(steady(iter(frames), luma_of, reach=2, ladder=ladder))
    assert ladder.rung == 1
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.correction.detail, other.correction.detail)


# --- Keys -------------------------------------------------------------------------------------------------------------


def remembered(frames, memory, deviation):
    """Texture that keeps a part of what was there: an AR(1) process in each pixel, `[T, 72, 96]`."""
    state, states = torch.zeros(72, 96), []
    noise = torch.randn(frames + 20, 1, 24, 32, generator=torch.Generator().manual_seed(2))
    soft = interpolate(noise, scale_factor=3, mode="bicubic")
    soft = (soft - avg_pool2d(soft, 17, 1, 8))[:, 0]
    for drawn in soft / soft.std():
        state = memory * state + (1 - memory**2) ** 0.5 * drawn
        states.append(state)
    return deviation * torch.stack(states[20:])


def in_colour(item, correction):
    return item[1].expand(3, -1, -1)


def locking(frames, **options):
    return list(steady(iter(frames), luma_of, reach=4, colours_of=in_colour, **options))


def lumas_of(frames):
    return torch.stack(
        [f.item[1] if f.correction is None else (f.item[1] + f.correction.detail.mean(0)) for f in frames]
    )


def change(lumas):
    return float(lumas.diff(dim=0).square().mean())


@pytest.mark.parametrize("count", [9, 16, 17, 30])
def test_boil_with_a_memory_is_locked_to_keys(count):
    """Averaging sees little of it. Keys stay, what lies between changes far less, and is as sharp."""
    frames = shot(clean() + remembered(count, 0.8, 0.03))
    found = locking(frames)
    before, after = lumas_of(frames), lumas_of(found)
    averaged = lumas_of(locking(frames, locks=False))
    assert change(averaged) > 0.8 * change(before)
    assert change(after) < 0.55 * change(before)
    sharpness = after.diff(dim=-1).square().mean((1, 2)) / before.diff(dim=-1).square().mean((1, 2))
    assert 0.93 < float(sharpness.mean()) < 1.05
    for number in range(0, count, BLOCK):
        assert float((after[number] - before[number]).abs().max()) < 0.01


def test_boil_that_is_new_in_every_frame_is_averaged():
    frames = shot(clean() + boil(24, 0.02))
    for one, other in zip(locking(frames), locking(frames, locks=False), strict=True):
        assert torch.equal(one.correction.detail, other.correction.detail)


def test_nothing_is_locked_across_a_cut():
    one, two = shot(clean() + remembered(13, 0.8, 0.03)), shot(clean(5) + remembered(14, 0.85, 0.03), first=13)
    together, apart = locking([*one, *two]), [*locking(one), *locking(two)]
    assert torch.equal(lumas_of(together), lumas_of(apart))


def test_a_still_shot_is_not_locked():
    frames = shot([clean()] * 20)
    assert all(a is b for a, b in zip(locking(frames), frames, strict=True))


@pytest.mark.parametrize("at", [1, 2])
def test_locking_goes_on_where_memory_ends(monkeypatch, at):
    """On the CPU all the while here; what was seen before is seen anew."""
    frames = shot(clean() + remembered(22, 0.8, 0.03))
    expected, calls, locked = locking(frames), [], keys_module.locked

    def full_once(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return locked(*arguments)

    monkeypatch.setattr(keys_module, "locked", full_once)
    ladder = steady_module.step_down()
    found = locking(frames, ladder=ladder)
    assert ladder.rung == 1
    assert torch.equal(lumas_of(found), lumas_of(expected))


def interrupted(frames, stop, named, **options):
    """(what comes out when a run that was frozen before frame `stop` goes on, the same of one that never stopped)."""
    at, kept, done, before = Steadying(), io.BytesIO(), [], 0

    def source():
        nonlocal before
        for number, frame in enumerate(frames):
            if number == stop:
                before = len(done)
                freeze(at, kept, named)
            yield frame

    for frame in steady(source(), luma_of, at=at, **options):
        done.append(frame)
    again = thaw(io.BytesIO(kept.getvalue()), named, {})
    rest = list(steady(iter(frames[stop:]), luma_of, at=again, **options))
    assert [frame.item[0] for frame in rest] == list(range(before, len(frames)))
    return rest, done[before:]


def test_locking_outlives_an_interruption():
    """What comes out when the run goes on is what would have, bit for bit."""
    ladder = steady_module.step_down()
    named = {"luma": luma_of, "colours": in_colour, "ladder": ladder}
    frames = shot(clean() + remembered(30, 0.8, 0.03))
    found, wanted = interrupted(frames, 21, named, reach=4, colours_of=in_colour, ladder=ladder)
    assert torch.equal(lumas_of(found), lumas_of(wanted))


def test_a_long_locked_shot_keeps_few_sights():
    """Views, colours and motion of pictures before the last key are let go."""
    at = Steadying()
    most = 0

    def source():
        nonlocal most
        for frame in shot(clean() + remembered(60, 0.8, 0.03)):
            if at.shot is not None:
                most = max(most, sum(picture.view is not None for picture in at.shot.pictures))
            yield frame

    list(steady(source(), luma_of, reach=4, colours_of=in_colour, at=at))
    assert BLOCK <= most <= 2 * BLOCK + 2 * 4 + 1

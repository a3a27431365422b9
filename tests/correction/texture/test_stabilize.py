"""The stream's second pass: every frame once, boil taken out, nothing touched elsewhere, nothing across a cut."""

import io
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from deflicker.core.oom import OomFallback
from deflicker.correction.apply import Correction
from deflicker.correction.texture.boil_estimate import Boil
from deflicker.correction.texture.luma_chroma import LumaChroma
from deflicker.correction.texture.pictures import Sight
from deflicker.correction.texture.stabilize import AHEAD, BLOCK, TextureStage
from deflicker.correction.types import FrameRecord
from deflicker.pipeline.store.block_files import read_state, write_state
from tests.correction.scenes import texture
from tests.driving import Shown, drive, stabilize

SIZE = (72, 96)
NO_MOTION = torch.zeros(2, 9, 12)
STILL = {"forward_px": NO_MOTION, "backward_px": NO_MOTION}
CPU = torch.device("cpu")


def boil(frames, deviation, seed=2):
    """Grain of some pixels, new in every frame."""
    noise = torch.randn(frames, 1, 72, 96, generator=torch.Generator().manual_seed(seed))
    grain = avg_pool2d(noise, 3, 1, 1) - avg_pool2d(noise, 7, 1, 3)
    return deviation * (grain / grain.std())[:, 0]


def shot(lumas, *, first=0, held=()):
    """A still shot whose frames are (number, luma)."""
    frames = []
    for number, luma in enumerate(lumas):
        motion = {} if number == 0 or number in held else STILL
        frames.append(record(first + number, luma, starts_shot=number == 0, is_duplicate=number in held, **motion))
    return frames


def record(number, luma, **fields):
    return FrameRecord(picture=Shown(number, luma), proxy=NO_MOTION[:1].expand(3, -1, -1), **fields)


def run(frames, reach=2, **options):
    return list(stabilize(frames, SIZE, reach, **{"locks": False} | options))


def clean(seed=0):
    return texture(72, 96, seed)[0]


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


@pytest.mark.parametrize("reach", [2, 4])
@pytest.mark.parametrize("count", [1, 2, 3, BLOCK, BLOCK + AHEAD + 3, 3 * BLOCK + 5])
def test_every_frame_comes_once_and_in_order(count, reach):
    found = run(shot(clean() + boil(count, 0.02)), reach)
    assert [frame.picture.index for frame in found] == list(range(count))
    assert [frame.starts_shot for frame in found] == [True] + [False] * (count - 1)


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
        luma = before.picture.value
        assert psnr(luma + after.correction.detail[0], truth) > psnr(luma, truth) + gain_db - 1.5
    inner = found[reach:-reach]
    gains = [psnr(f.picture.value + f.correction.detail[0], truth) - psnr(f.picture.value, truth) for f in inner]
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

    class Counted(Shown):
        def __init__(self, index, value):
            nonlocal alive
            alive += 1
            super().__init__(index, value)

        def __del__(self):
            nonlocal alive
            alive -= 1

    most = 0

    def frames():
        nonlocal most
        for number, luma in enumerate(clean() + boil(90, 0.02)):
            motion = STILL if number else {}
            yield replace(record(number, luma, starts_shot=number == 0, **motion), picture=Counted(number, luma))
            most = max(most, alive)

    for _ in stabilize(frames(), SIZE, 2, locks=False):
        pass
    assert most <= 2 * AHEAD + BLOCK + 2 * 2 + 4


def test_tone_is_kept_beside_the_detail():
    lumas = clean() + boil(20, 0.02)
    gain = Correction(torch.full((3, 2, 2), 0.1))
    frames = [
        record(n, luma, correction=gain, starts_shot=n == 0, **(STILL if n else {})) for n, luma in enumerate(lumas)
    ]
    found = run(frames)
    assert all(torch.equal(frame.correction.log_gain, gain.log_gain) for frame in found)
    assert all(frame.correction.detail is not None for frame in found)


def test_boil_found_late_is_taken_out_of_what_still_waits():
    """The first picture of a block hides it: the frames before the next block are looked at again."""
    truth = clean()
    lumas = truth + boil(24, 0.02)
    lumas[:3] = lumas[1]
    found = run(shot(lumas))
    assert all(frame.correction is not None for frame in found[4:])
    assert all(
        psnr(f.picture.value + f.correction.detail[0], truth) > psnr(f.picture.value, truth) + 1 for f in found[4:]
    )


def test_one_odd_picture_opens_no_gate():
    lumas = clean().expand(24, -1, -1).clone()
    lumas[12] += boil(1, 0.03)[0]
    frames = shot(lumas)
    assert all(a is b for a, b in zip(run(frames), frames, strict=True))


class Spoilt(OomFallback):
    """What is found for one picture is no number."""

    def __init__(self, at, kind):
        super().__init__("texture", ())
        self.left, self.kind = at, kind

    def run(self, work):
        found = super().run(work)
        if isinstance(found, self.kind):
            self.left -= 1
            if self.left == 0:
                names = ["luma", "chroma"] if self.kind is LumaChroma else ["explained", "change"]
                return replace(found, **{name: getattr(found, name) * float("nan") for name in names})
        return found


def test_detail_that_is_no_number_is_left_out():
    """The picture stays as tone left it; those around it are stabilised, and remember nothing of it."""
    frames = shot(clean() + boil(22, 0.02))
    usual, found = run(frames), run(frames, fallback=Spoilt(11, LumaChroma))
    left = [number for number, frame in enumerate(found) if frame.correction is None]
    assert len(left) == 1
    assert all(frame.diverged == (frame.picture.index in left) for frame in found)
    for number in set(range(22)) - set(left):
        difference = found[number].correction.detail - usual[number].correction.detail
        assert float(difference.abs().mean()) < (1e-9 if number < left[0] else 0.01)


def test_boil_that_is_no_number_hides_none_of_that_around_it():
    frames = shot(clean() + boil(22, 0.02))
    found = run(frames, fallback=Spoilt(5, Boil))
    assert all(frame.correction is not None and frame.correction.detail.isfinite().all() for frame in found)


class FullOnce(OomFallback):
    """Memory ends at one call."""

    def __init__(self, at):
        super().__init__("texture", ("on the CPU",))
        self.left = at

    def run(self, work):
        def full(level):
            self.left -= 1
            if self.left == 0:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return work(level)

        return super().run(full)


@pytest.mark.parametrize("at", [1, 3, 12])
def test_where_memory_ends_texture_goes_on_elsewhere(at):
    """On the CPU all the while here; what was seen before is seen anew."""
    frames = shot(clean() + boil(22, 0.02))
    expected, fallback = run(frames), FullOnce(at)
    found = run(frames, fallback=fallback)
    assert fallback.level == 1
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


def locking(frames, **options):
    return list(stabilize(frames, SIZE, 4, **options))


def lumas_of(frames):
    return torch.stack(
        [f.picture.value if f.correction is None else (f.picture.value + f.correction.detail.mean(0)) for f in frames]
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


@pytest.mark.parametrize("at", [1, 4, 7])
def test_locking_goes_on_where_memory_ends(at):
    """On the CPU all the while here; what was seen before is seen anew."""
    frames = shot(clean() + remembered(22, 0.8, 0.03))
    expected, fallback = locking(frames), FullOnce(at)
    found = locking(frames, fallback=fallback)
    assert fallback.level == 1
    assert torch.equal(lumas_of(found), lumas_of(expected))


def interrupted(frames, stop, make):
    """(what comes out when a run whose state was stored before frame `stop` goes on, the same without a stop)."""
    stage, done, kept = make(), [], io.BytesIO()
    for each in frames[:stop]:
        done += stage.push(each)
    before, pictures = len(done), write_state(kept, stage.state_dict())
    done += drive(stage, frames[stop:])
    kept.seek(0)
    again = make()
    again.load_state_dict(read_state(kept, {number: frames[number].picture for number in pictures}, CPU))
    rest = list(drive(again, frames[stop:]))
    assert [frame.picture.index for frame in rest] == list(range(before, len(frames)))
    return rest, done[before:]


def test_locking_outlives_an_interruption():
    """What comes out when the run goes on is what would have, bit for bit."""
    frames = shot(clean() + remembered(30, 0.8, 0.03))
    found, wanted = interrupted(frames, 21, lambda: TextureStage(Sight(SIZE, CPU, 4)))
    assert torch.equal(lumas_of(found), lumas_of(wanted))


def test_a_long_locked_shot_keeps_few_sights():
    """Views, colours and motion of pictures before the last key are let go."""
    stage, most = TextureStage(Sight(SIZE, CPU, 4)), 0
    for each in shot(clean() + remembered(60, 0.8, 0.03)):
        most = max(most, sum(picture.view is not None for picture in stage._shot.pictures))
        list(stage.push(each))
    assert BLOCK <= most <= 2 * BLOCK + 2 * 4 + 1

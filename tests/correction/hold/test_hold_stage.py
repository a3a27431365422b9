"""The stage: which shots are held, what passes untouched, and that it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from deflicker.core.blocks import Packer, unpack
from deflicker.correction.hold.hold_stage import OPENING, HoldPlan, HoldStage
from deflicker.correction.types import FrameRecord
from tests.correction.hold.drawings import SIZE, along_pan, noise, records, redrawn, surface

CPU = torch.device("cpu")
FRAMES = OPENING + 4


def stage(*, always: bool = False) -> HoldStage:
    return HoldStage(HoldPlan(SIZE, CPU, always))


def through(held: HoldStage, frames: Sequence[FrameRecord]) -> list[FrameRecord]:
    found = [out for frame in frames for out in held.push(frame)]
    return [*found, *held.finish()]


def shown(frames: Sequence[FrameRecord]) -> Tensor:
    return torch.stack([each.correction.applied(each.proxy) if each.correction else each.proxy for each in frames])


@pytest.fixture(scope="module")
def guide() -> Tensor:
    return surface(FRAMES)


@pytest.fixture(scope="module")
def video(guide: Tensor) -> Tensor:
    return redrawn(guide)


@pytest.fixture(scope="module")
def result(guide: Tensor, video: Tensor) -> list[FrameRecord]:
    return through(stage(), records(video, guide))


def test_a_shot_that_is_redrawn_is_held_in_all_its_frames(video: Tensor, result: list[FrameRecord]) -> None:
    assert along_pan(shown(result)).max() < 0.3 * along_pan(video).mean()
    decision = result[0].texture
    assert decision is not None
    assert (decision.space, decision.why) == ("hold", "it is drawn anew where its guide stays the same")
    assert decision.boil_share > 0.5
    assert all(each.texture == decision and each.guide_luma is None for each in result)


@pytest.mark.parametrize("noisy", [0.0, 0.008])
def test_an_edit_that_is_steady_passes_as_it_came(guide: Tensor, noisy: float) -> None:
    grain = noisy * torch.randn(FRAMES, 3, *SIZE, generator=torch.Generator().manual_seed(3))
    steady = (guide.sqrt() + grain).clamp(0, 1)
    for out in through(stage(), records(steady, guide)):
        assert out.correction is None
        assert out.texture is None


def test_steady_texture_is_held_where_that_is_asked_for(guide: Tensor) -> None:
    out = through(stage(always=True), records(guide.repeat(1, 3, 1, 1), guide))
    assert out[0].texture is not None
    assert out[0].texture.why == "as asked"


def test_nothing_is_carried_across_a_cut(guide: Tensor, video: Tensor) -> None:
    first, second = records(video, guide), records(video.flip(-2), guide.flip(-2))
    alone = through(stage(), second)
    after = through(stage(), [*first, *second])[FRAMES:]
    assert torch.equal(shown(after), shown(alone))


def test_duplicates_and_skipped_frames(guide: Tensor, video: Tensor) -> None:
    frames = records(video, guide)
    same = replace(frames[5], is_duplicate=True, forward_px=None, backward_px=None)
    late = replace(frames[14], is_duplicate=True, forward_px=None, backward_px=None)
    flash = replace(frames[6], skip="flash", forward_px=None, backward_px=None)
    given = [*frames[:6], same, flash, *frames[6:15], late, *frames[15:]]
    out = through(stage(), given)
    assert torch.equal(shown([out[5]]), shown([out[6]]))
    assert torch.equal(shown([out[16]]), shown([out[17]]))
    assert out[7].correction is None
    others = [each for at, each in enumerate(out) if at not in (6, 7, 17)]
    assert torch.equal(shown(others), shown(through(stage(), frames)))


def test_short_shots_pass(guide: Tensor, video: Tensor) -> None:
    assert through(stage(always=True), records(video[:1], guide[:1]))[0].correction is None
    assert len(through(stage(), records(video[:2], guide[:2]))) == 2


@pytest.mark.parametrize("stop", [3, OPENING, FRAMES - 1])
def test_it_goes_on_where_it_stopped(guide: Tensor, video: Tensor, result: list[FrameRecord], stop: int) -> None:
    frames, held = records(video, guide), stage()
    before = [out for frame in frames[:stop] for out in held.push(frame)]
    bare = {**held.state_dict(), "waiting": [replace(each, picture=None) for each in held.state_dict()["waiting"]]}  # type: ignore[attr-defined]
    state = unpack(Packer().pack(bare), {}, CPU)
    waiting: Iterator[FrameRecord] = iter(frames[stop - len(state["waiting"]) : stop])
    state["waiting"] = [replace(each, picture=next(waiting).picture) for each in state["waiting"]]
    later = stage()
    later.load_state_dict(state)
    after = through(later, frames[stop:])
    assert torch.equal(shown([*before, *after]), shown(result))


def test_a_drawing_that_is_not_finite_stays_and_is_said(guide: Tensor, video: Tensor) -> None:
    broken = video.clone()
    broken[OPENING + 1, 0, 5, 5] = float("nan")
    out = through(stage(), records(broken, guide))
    assert out[OPENING + 1].diverged
    assert out[OPENING + 1].correction is None
    assert torch.isfinite(shown([*out[: OPENING + 1], *out[OPENING + 2 :]])).all()


def test_the_first_picture_kept_is_no_odd_one(guide: Tensor, video: Tensor) -> None:
    odd = video.clone()
    odd[0] = (guide[0] + 0.12 * noise(7, *SIZE, 6)).clamp(0, 1)  # blurred, unlike all others
    out = shown(through(stage(), records(odd, guide)))
    assert out[4].diff(dim=-1).square().mean() > 0.7 * video[4].diff(dim=-1).square().mean()

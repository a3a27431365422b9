"""Pictures that pulse in sharpness are steadied, and all others come out as they are."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.core.blocks import Indexed, Packer
from deflicker.core.memory import SHARPNESS_FRAMES
from deflicker.correction.sharpness.sharpness_stage import MOST_WAITING, SharpnessStage
from deflicker.correction.types import FrameRecord
from tests.correction.scenes import pan, rng

FRAMES, SIZE = 40, (128, 192)
CLEAN = (pan(FRAMES, *SIZE) * 0.6 + 0.2 + 0.05 * torch.randn(1, 1, *SIZE, generator=rng(6))).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Shown(Indexed):
    """A frame of tensors."""

    index: int
    value: Tensor

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        assert size == SIZE
        return self.value


def softened(frame: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(frame[None], (1,) * 4, mode="reflect"), 3, 1)[0] * 0.6 + frame * 0.4


PULSING = torch.stack([softened(each) if t % 2 else each for t, each in enumerate(CLEAN)])


def records(frames: Tensor) -> list[FrameRecord]:
    return [
        FrameRecord(picture=Shown(t, frame), proxy=frame[:, ::8, ::8], starts_shot=t == 0)
        for t, frame in enumerate(frames)
    ]


def new_stage() -> SharpnessStage:
    return SharpnessStage(SIZE, torch.device("cpu"))


def through(stage: SharpnessStage, given: list[FrameRecord]) -> list[FrameRecord]:
    return [each for record in given for each in stage.push(record)]


def decided(given: list[FrameRecord]) -> list[FrameRecord]:
    stage = new_stage()
    return [*through(stage, given), *stage.finish()]


def corrected(given: list[FrameRecord]) -> Tensor:
    return torch.stack(
        [r.picture.value if r.correction is None else r.correction.applied(r.picture.value) for r in given]
    )


def error(frames: Tensor) -> float:
    return (frames - CLEAN).square().mean().item()


def test_soft_pictures_get_their_detail_back_and_sharp_ones_stay():
    found = decided(records(PULSING))
    assert [each.correction is None for each in found] == [t % 2 == 0 for t in range(FRAMES)]
    assert error(corrected(found)) < error(PULSING) / 4


def test_steady_pictures_stay_as_they_are():
    given = records(CLEAN)
    assert all(one is other for one, other in zip(decided(given), given, strict=True))


def test_frames_come_out_in_order_and_no_later_than_said():
    stage, given, count = new_stage(), records(PULSING), 0
    for t, record in enumerate(given):
        for each in stage.push(record):
            assert each.picture is given[count].picture
            count += 1
        assert t + 1 - count <= SHARPNESS_FRAMES
    assert count + len(list(stage.finish())) == FRAMES


def test_a_picture_shown_twice_is_corrected_alike_and_a_skipped_frame_stays():
    given = [replace(r, starts_shot=n == 0, is_duplicate=n == 1) for r in records(PULSING) for n in (0, 1)]
    given = [replace(r, starts_shot=at == 0) for at, r in enumerate(given)]
    given[10] = replace(given[10], skip="excluded", is_duplicate=False)
    found = decided(given)
    assert found[10].correction is None
    assert found[2].correction is not None
    assert torch.equal(found[2].correction.detail, found[3].correction.detail)


def test_a_picture_that_stands_still_is_not_waited_for_without_end():
    stage, first = new_stage(), records(PULSING)[0]
    late = 0
    for t in range(4 * MOST_WAITING):
        late += 1 - len(list(stage.push(replace(first, starts_shot=t == 0, is_duplicate=t > 0))))
        assert late <= MOST_WAITING
    assert late == len(list(stage.finish()))


def test_nothing_is_carried_across_a_cut():
    once = decided(records(PULSING))
    given = records(PULSING)
    twice = decided([*given, *given])
    for one, other in zip([*once, *once], twice, strict=True):
        assert (one.correction is None) == (other.correction is None)
        assert one.correction is None or torch.equal(one.correction.detail, other.correction.detail)


@pytest.mark.parametrize("stop", [1, 9, 27, 33])
def test_it_goes_on_where_it_was_stopped(stop):
    given, first, second = records(PULSING), new_stage(), new_stage()
    before = through(first, given[:stop])
    state = first.state_dict()
    Packer().pack(state)  # can be stored
    second.load_state_dict(state)
    after = [*through(second, given[stop:]), *second.finish()]
    assert torch.equal(corrected([*before, *after]), corrected(decided(given)))


def test_where_memory_ends_it_goes_on_on_the_cpu():
    """The first picture meets the end of memory, which is for good; what comes out is the same."""
    asked: list[int] = []

    class Short(Shown):
        def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
            asked.append(self.index)
            if len(asked) == 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().rgb(size, device)

    given = [replace(record, picture=Short(t, PULSING[t])) for t, record in enumerate(records(PULSING))]
    assert torch.equal(corrected(decided(given)), corrected(decided(records(PULSING))))
    assert asked[:3] == [0, 0, 1]

"""Letters over a picture that flickers keep their values, and nothing else is left out of the correction."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from deflicker.core.memory import OVERLAY_REACH
from deflicker.correction.apply import Correction
from deflicker.correction.tone.overlays import OverlayStage
from deflicker.correction.types import FrameRecord
from tests.correction.scenes import global_noise, pan, rng

FRAMES, HEIGHT, WIDTH = 30, 48, 64
LETTERS = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
LETTERS[8:20, 10:12] = LETTERS[8:10, 10:20] = LETTERS[30:32, 20:50] = True
NOISE = 0.003 * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=rng(4))
GAIN = global_noise(FRAMES, 0.12)


@dataclass(frozen=True)
class Shown:
    """A frame of tensors."""

    value: Tensor

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        assert size == (HEIGHT, WIDTH)
        return self.value


def over(picture: Tensor, when: Tensor) -> Tensor:
    """White letters over a picture in some of its frames."""
    there = (LETTERS & when.view(-1, 1, 1))[:, None]
    return torch.where(there, 0.92, picture)


def records(frames: Tensor, gain: Tensor) -> list[FrameRecord]:
    cells = -gain.view(-1, 1, 1, 1).expand(-1, 3, HEIGHT // 8, WIDTH // 8)
    return [
        FrameRecord(
            picture=Shown(frame),
            proxy=frame,
            starts_shot=t == 0,
            correction=Correction(each) if bool(each.any()) else None,
        )
        for t, (frame, each) in enumerate(zip(frames, cells, strict=True))
    ]


def through(stage: OverlayStage, given: list[FrameRecord]) -> list[FrameRecord]:
    return [each for record in given for each in stage.push(record)]


def decided(given: list[FrameRecord]) -> list[FrameRecord]:
    stage = OverlayStage((HEIGHT, WIDTH), torch.device("cpu"))
    return [*through(stage, given), *stage.finish()]


def corrected(given: list[FrameRecord]) -> Tensor:
    return torch.stack(
        [
            each.picture.value if each.correction is None else each.correction.applied(each.picture.value)
            for each in given
        ]
    )


@pytest.mark.parametrize("when", [torch.ones(FRAMES, dtype=torch.bool), (torch.arange(FRAMES) - 14).abs() < 7])
def test_letters_keep_their_values_and_the_picture_is_corrected(when):
    """Letters that lie there all the time, and a subtitle that comes and goes."""
    clean = pan(FRAMES, HEIGHT, WIDTH) + NOISE
    shown = over(clean * GAIN.exp() + NOISE, when)
    found = corrected(decided(records(shown, GAIN)))
    there = (LETTERS & when.view(-1, 1, 1))[:, None].expand_as(shown)
    assert (found - shown)[there].abs().max() < 1 / 255
    assert (corrected(records(shown, GAIN)) - shown)[there].abs().max() > 15 / 255  # what it would be otherwise
    left, before = ((each - clean)[~there].square().mean() for each in (found, shown))
    assert left < before / 100


def test_nothing_is_kept_of_a_still_picture_that_flickers():
    clean = pan(FRAMES, HEIGHT, WIDTH, step=(0, 0)) + NOISE
    found = decided(records(clean * GAIN.exp(), GAIN))
    assert all(each.correction.as_it_is is None for each in found)


def test_a_weak_correction_keeps_nothing():
    """Changes of a third of a code value say nothing about which pixels they are for."""
    gain = GAIN / 60
    found = decided(records(over(pan(FRAMES, HEIGHT, WIDTH), torch.ones(FRAMES, dtype=torch.bool)), gain))
    assert all(each.correction.as_it_is is None for each in found)


def test_frames_without_a_correction_are_the_same_objects_and_are_not_looked_at():
    given = [replace(each, picture=None) for each in records(pan(FRAMES, HEIGHT, WIDTH), torch.zeros(FRAMES))]
    assert all(a is b for a, b in zip(decided(given), given, strict=True))


def test_a_pause_and_going_on_changes_nothing():
    given = records(over(pan(FRAMES, HEIGHT, WIDTH) * GAIN.exp(), torch.ones(FRAMES, dtype=torch.bool)), GAIN)
    whole = decided(given)
    for pause in (3, OVERLAY_REACH + 1, 20):
        first, second = (OverlayStage((HEIGHT, WIDTH), torch.device("cpu")) for _ in range(2))
        begun = through(first, given[:pause])
        second.load_state_dict(first.state_dict())
        resumed = [*begun, *through(second, given[pause:]), *second.finish()]
        for a, b in zip(whole, resumed, strict=True):
            assert torch.equal(a.correction.as_it_is, b.correction.as_it_is)


def test_frames_that_are_left_out_do_not_pile_up():
    stage = OverlayStage((HEIGHT, WIDTH), torch.device("cpu"))
    given = records(pan(FRAMES, HEIGHT, WIDTH), GAIN)
    through(stage, given[:12])
    out = [replace(given[0], starts_shot=False, skip="excluded", correction=None)] * 100
    assert len(through(stage, out)) > 100 - 4 * OVERLAY_REACH

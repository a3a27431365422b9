"""Steps that answer a drift are not taken off as seams: the film's slow course stays."""

import pytest
import torch

from deflicker.correction.tone.seam_correction import SeamMemory, Seams, find_seams
from deflicker.correction.tone.seam_path import MOST
from tests.correction.scenes import cells, global_noise, still
from tests.correction.tone.test_seam_correction import FRAMES, HEIGHT, WIDTH, found

EVERY = 8
STEP = 0.1


def stream(tone: torch.Tensor) -> torch.Tensor:
    """The correction of a long shot, `[T]`, decided 16 frames at a time as the product does."""
    from deflicker.correction.tone.observations import observe
    from tests.correction.scenes import matches

    memory = SeamMemory(torch.zeros(0, 3, HEIGHT // 8, WIDTH // 8))
    done: list[torch.Tensor] = []
    for core in range(0, len(tone), 16):
        first = max(0, core - 16)
        part = still(len(tone[first : core + 32]), HEIGHT, WIDTH) * tone[first : core + 32].exp()
        matched = matches(part, lags=(1, 2, 4))
        steps = {offset: observe(part, match) for offset, match in matched.items()}
        seams: Seams = find_seams(part, matched, steps, memory)
        new = min(16, len(tone) - core)
        past = core - first
        done.append(seams.log_gain[past : past + new].mean((1, 2, 3)))
        memory = seams.memory(slice(max(0, past + new - 16), past + new), new)
    return torch.cat(done)


def sawtooth(frames: int, every: int, *, net: float = 0.0) -> torch.Tensor:
    """Light falls, the camera opens every so many frames; what falls on the whole is `net` per step, `[T, 1, 1, 1]`."""
    time = torch.arange(frames).view(-1, 1, 1, 1)
    return (net - STEP) / every * time + STEP * ((time + every // 3) // every) + 0.2


@pytest.mark.parametrize("net", [0.0, -0.03])
@pytest.mark.parametrize("every", [6, 8, 12, 24])
def test_steps_that_answer_a_drift_are_not_seams(every, net):
    """Taken off, they would leave the drift between them, which ends 0.6 away from the film here."""
    assert not stream(sawtooth(64, every, net=net)).any()


def test_a_first_step_that_was_taken_for_a_seam_is_given_back():
    """The shot begins right before a step; that it answers a drift is known only by the next ones, 40 frames apart."""
    gain = stream(sawtooth(200, 40))
    assert gain.abs().max() < 1.2 * STEP
    assert gain[-1].abs() < 0.1 * STEP  # taken off whole, all of them would come to 0.5


def test_stairs_are_seams():
    """Steps without a drift between them are taken off for good."""
    time = torch.arange(FRAMES).view(-1, 1, 1, 1)
    tone = 0.06 * (time // EVERY) + global_noise(FRAMES, 0.001)
    seams = found(still(FRAMES, HEIGHT, WIDTH) * tone.exp())
    after = (seams.log_gain + cells(tone.expand(-1, 1, HEIGHT, WIDTH))).mean((1, 2, 3))
    assert seams.before == (8, 16, 24)
    assert after[:28].max() - after[:28].min() < 0.02


def test_the_sum_of_seams_stays_in_its_bound():
    """A step every eight frames for ever, always the same way: the picture may not run away from the input."""
    tone = 0.12 * (torch.arange(96) // EVERY).view(-1, 1, 1, 1) - 1.0
    gain = stream(tone)
    assert gain.min() < -0.3  # they are taken off
    assert gain.abs().max() < MOST + 1e-4

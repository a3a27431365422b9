"""A seam that answers a slope is given back as one: the film's slow course stays, whatever is taken off."""

import pytest
import torch

from deflicker.correction.tone.sawtooth import MOST
from deflicker.correction.tone.seam_correction import SeamMemory, Seams, find_seams
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


def slow(tone: torch.Tensor) -> torch.Tensor:
    """Mean over two chunks around each frame."""
    return tone.unfold(0, 2 * EVERY, 1).mean(1)


@pytest.mark.parametrize("net", [0.0, -0.03])
def test_a_sawtooth_goes_and_its_slow_course_stays(net):
    """Light falls, the camera opens every eight frames; what falls on the whole is `net` per chunk."""
    frames = 64
    time = torch.arange(frames).view(-1, 1, 1, 1)
    tone = (net - STEP) / EVERY * time + STEP * (time // EVERY) + 0.2
    gain = stream(tone)
    after = gain + tone.flatten()
    assert (slow(after) - slow(tone.flatten())).abs().max() < STEP / 2  # without slopes given back: 0.6 at the end
    steps = after.diff()
    assert steps.abs().max() < STEP / 3


def test_steps_of_one_direction_are_no_pairs():
    """An exposure corrected every six frames: its steps are nearer to each other than those of chunks may be."""
    time = torch.arange(FRAMES).view(-1, 1, 1, 1)
    tone = -STEP / 6 * time + STEP * (time // 6)
    assert found(still(FRAMES, HEIGHT, WIDTH) * tone.exp()).before == (6, 12, 18, 24)


def test_a_sawtooth_that_begins_within_a_shot_is_brought_to_its_middle():
    """At first the correction hangs below its first step; its mean over a chunk comes back towards zero."""
    time = (torch.arange(112) - 20).clamp_min(0).view(-1, 1, 1, 1)
    gain = slow(stream(-STEP / EVERY * time + STEP * (time // EVERY)))
    assert gain[:40].min() < -0.3 * STEP
    assert gain[-EVERY:].abs().max() < 0.3 * STEP  # without: 0.98


def test_stairs_are_no_sawtooth():
    """Steps without a slope between them are taken off for good."""
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

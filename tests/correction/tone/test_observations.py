"""What samples cut off at white say: nothing, until an estimate contradicts them."""

from __future__ import annotations

import pytest
import torch

from deflicker.correction.tone.gain_field import solve_gains
from deflicker.correction.tone.observations import observe, too_bright
from deflicker.correction.tone.tone_options import GainOptions
from deflicker.motion.filters import CELL_PX
from tests.correction.scenes import local_noise, matches, still

CELLS = (2, 3)
SIZE = (CELL_PX * CELLS[0], CELL_PX * CELLS[1])


def level(value: float, frames: int = 1) -> torch.Tensor:
    return torch.full((frames, 3, *SIZE), value)


@pytest.mark.parametrize(("here", "counts"), [(0.95, True), (0.91, True), (0.903, False), (0.9, False), (0.8, False)])
def test_a_bound_counts_where_it_is_broken(here, counts):
    """Here is cut off, so its true light is more than shown; the other side shows 0.9."""
    found = too_bright(level(here), level(0.9), torch.ones(1, 1, *SIZE))
    assert torch.equal(found, torch.full((1, 1, *SIZE), float(counts)))
    mirrored = too_bright(level(0.9), level(here), -torch.ones(1, 1, *SIZE))
    assert torch.equal(mirrored, found)


def test_a_few_samples_say_nothing():
    cut = torch.zeros(1, 1, *SIZE)
    cut[..., 0, :3] = 1  # 3 of 64
    assert not too_bright(level(1.0), level(0.5), cut).any()
    cut[..., 0, 3] = 1
    assert too_bright(level(1.0), level(0.5), cut).sum() == 4


def test_a_frame_cut_off_is_seen_only_through_its_bound():
    frames = torch.cat([level(0.8), level(1.0), level(0.8)])
    ahead = matches(frames)[1]
    assert not observe(frames, ahead).weight.any()
    estimate = torch.cat([level(0.8), level(0.95), level(0.8)])
    seen = observe(frames, ahead, aligned=estimate)
    assert (seen.weight > 0.5).all()
    assert torch.allclose(seen.log_ratio[0], torch.tensor(1 / 0.8).log(), atol=0.005)
    assert not observe(frames, ahead, aligned=estimate, bounds=False).weight.any()
    kept = torch.cat([level(0.8), level(0.75), level(0.8)])  # darker than its neighbours: the bound holds
    assert not observe(frames, ahead, aligned=kept).weight.any()


def test_regions_cut_off_now_and_then_keep_their_level():
    """Where only the bright half of the flicker is cut off, its mean over what is left is too dark."""
    clean = still(24, 64, 96) * 0.3 + 0.75
    flicker = local_noise(24, 64, 96, 0.12)
    frames = (clean * flicker.exp()).clamp(0, 1)

    def error(bounds: bool) -> float:
        gain, _ = solve_gains(frames, matches(frames), options=GainOptions(bounds=bounds))
        fine = gain.repeat_interleave(CELL_PX, -1).repeat_interleave(CELL_PX, -2)
        return float((frames * fine.exp() - clean).clamp_min(0).square().mean())  # what stays too bright

    assert error(True) < 0.8 * error(False)

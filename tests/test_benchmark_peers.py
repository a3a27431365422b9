"""Other methods on inputs whose answer is known."""

from __future__ import annotations

import pytest
import torch

from scripts.bench import bonneel, peers, scores
from tests.stills import no_motion, pumping, still, swing, unasked

AVAILABLE = [name for name in peers.PEERS if peers.missing(name) is None]


@pytest.mark.parametrize("name", AVAILABLE)
def test_as_many_frames_come_out_as_went_in(name: str) -> None:
    for frames in (3, 12):
        result = peers.PEERS[name](pumping(frames), lambda frames=frames: no_motion(still(frames)))
        assert result.shape == (frames, 3, 40, 56)
        assert torch.equal(result, result.clamp(0, 1))


@pytest.mark.parametrize("name", [name for name in AVAILABLE if name not in peers.SPATIAL])
def test_a_still_stays_as_it_is(name: str) -> None:
    result = peers.PEERS[name](still(12), lambda: no_motion(still(12)))
    assert (result - still(12)).abs().max() < 0.5 / 255


@pytest.mark.parametrize("name", ["ffmpeg_deflicker", "ste", "bonneel", "bonneel_flow", "reduceflicker"])
def test_a_pump_is_made_smaller(name: str) -> None:
    result = peers.PEERS[name](pumping(24), lambda: no_motion(still(24)))
    assert swing(result[3:-5]) < 0.65 * swing(pumping(24))


def test_scale_time_equalisation_removes_a_pure_pump() -> None:
    result = peers.scale_time_equalisation(pumping(24), unasked)
    assert swing(result) < 0.1 * swing(pumping(24))
    assert scores.psnr(result, still(24)) > 40


def test_colour_codes_go_there_and_back_in_the_order_luma_chroma() -> None:
    noise = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    assert (peers.from_codes(peers.to_codes(noise)) - noise).abs().max() < 0.01 / 255
    assert peers.to_codes(torch.ones(1, 3, 2, 2))[0, :, 0, 0].tolist() == [235 * 256, 128 * 256, 128 * 256]


def test_ffmpeg_is_given_luma_where_it_looks_for_it() -> None:
    noise = torch.rand(6, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    assert (peers.ffmpeg("null")(noise, unasked) - noise).abs().max() < 0.01 / 255
    grey = peers.ffmpeg("lutyuv", "u=32768:v=32768")(noise, unasked)
    luma = torch.einsum("c,tchw->thw", torch.tensor([0.2126, 0.7152, 0.0722]), noise)
    assert (grey - luma[:, None]).abs().max() < 0.02 / 255


def test_screened_poisson_against_a_dense_solve() -> None:
    rng = torch.Generator().manual_seed(1)
    frame, past = torch.rand(2, 1, 1, 6, 7, generator=rng)
    weight = torch.rand(1, 1, 6, 7, generator=rng)
    columns = [bonneel.laplace(unit.view(1, 1, 6, 7)).flatten() for unit in torch.eye(42)]
    matrix = torch.stack(columns, 1)
    assert torch.allclose(matrix.diagonal(), bonneel.laplace_diagonal(frame).flatten())
    right = matrix @ frame.flatten() + (weight * past).flatten()
    dense = torch.linalg.solve(matrix + torch.diag(weight.flatten()), right)
    assert torch.allclose(bonneel.screened_poisson(frame, past, weight).flatten(), dense, atol=1e-3)


def test_only_the_gate_by_structure_trusts_the_past_across_a_step_of_tone() -> None:
    brighter, other = still(1) * 1.3, still(1).flip(-1)
    assert bonneel.by_colour(brighter, still(1)).mean() < 0.2
    assert bonneel.by_structure(brighter, still(1)).mean() > 0.95
    assert bonneel.by_structure(other, still(1)).mean() < 0.5
    for gate in (bonneel.by_colour, bonneel.by_structure):
        assert torch.equal(gate(still(1), still(1)), torch.ones(1, 1, 40, 56))


def test_reduce_flicker_averages_what_swings_and_leaves_a_ramp() -> None:
    values = torch.tensor([0.1, 0.2, 0.1, 0.2, 0.1, 0.2]).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    result = peers.reduce_flicker(values, lambda: no_motion(values))
    assert torch.allclose(result[2:-1], torch.full_like(result[2:-1], 0.15), atol=1e-6)
    ramp = torch.linspace(0.1, 0.6, 6).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    assert torch.allclose(peers.reduce_flicker(ramp, lambda: no_motion(ramp)), ramp, atol=1e-6)

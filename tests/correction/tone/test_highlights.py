"""Lamps stay white; what flicker alone drove to white comes back."""

import torch
import torch.nn.functional as F

from deflicker.correction.apply import Correction
from deflicker.correction.tone.highlights import _most_around, highlight_light
from deflicker.motion.correspondence import build_matches

FRAMES, SIDE = 6, 32


def still_matches():
    flow = torch.zeros(FRAMES - 1, 2, SIDE, SIDE)
    return build_matches(flow, flow, (1, 2))


def clip(value: float) -> torch.Tensor:
    """Mid grey with a square of `value` in the middle."""
    frames = torch.full((FRAMES, 3, SIDE, SIDE), 0.4)
    frames[..., 12:20, 12:20] = value
    return frames


def corrected(frames: torch.Tensor, log_gain: torch.Tensor) -> torch.Tensor:
    """Every frame with its own gain of the whole picture."""
    relit = (frames * log_gain.view(-1, 1, 1, 1).exp()).clamp(0, 1)
    light = highlight_light(frames, relit, still_matches(), 0, FRAMES)
    assert light is not None
    cells = torch.ones(3, SIDE // 8, SIDE // 8)
    return torch.stack(
        [Correction(g * cells, keep).applied(f) for g, keep, f in zip(log_gain, light, frames, strict=True)]
    )


def test_nothing_clipped_nothing_kept():
    frames = clip(0.8)
    assert highlight_light(frames, frames, still_matches(), 0, FRAMES) is None


def test_a_lamp_stays_white_when_one_frame_is_darkened():
    gain = torch.zeros(FRAMES)
    gain[3] = -0.4
    after = corrected(clip(1.0), gain)
    assert after[3, :, 14:18, 14:18].min() > 0.99
    torch.testing.assert_close(after[3, :, :6, :6], torch.full((3, 6, 6), 0.4 * torch.tensor(-0.4).exp().item()))


def test_a_lamp_stays_white_through_a_run_of_darkened_frames():
    gain = torch.zeros(FRAMES)
    gain[2:4] = -0.4
    assert corrected(clip(1.0), gain)[2:4, :, 14:18, 14:18].min() > 0.99


def test_flicker_that_reached_white_is_taken_back():
    """A wall of 0.85, pushed over white in one frame, gets the light its neighbours show."""
    frames = clip(0.85)
    frames[3] = (frames[3] * 1.3).clamp(max=1)
    gain = torch.zeros(FRAMES)
    gain[3] = -torch.tensor(1.3).log()
    after = corrected(frames, gain)[3, :, 14:18, 14:18]
    torch.testing.assert_close(after, torch.full_like(after, 0.85), atol=0.01, rtol=0)


def test_a_point_nobody_else_sees_stays_as_it_is():
    away = torch.full((FRAMES - 1, 2, SIDE, SIDE), 500.0)
    frames = clip(1.0)
    light = highlight_light(frames, frames * 0.7, build_matches(away, away, (1, 2)), 0, FRAMES)
    assert light is not None
    assert light[..., 14:18, 14:18].min() == 1


def test_the_maximum_around_is_that_of_pooling():
    light = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(_most_around(light), F.max_pool2d(light, 3, 1, 1))

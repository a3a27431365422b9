"""One drawing after another held to those before: what stays, and what gives way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.correction.hold.hold_bands import Bands
from deflicker.correction.hold.holding import Drawing, HoldOptions, Way, blended, first, held
from tests.correction.hold.drawings import PAN_PX, SIZE, along_pan, noise, redrawn, surface

ALL = HoldOptions()


def hold(video: Tensor, guide: Tensor | None, options: HoldOptions = ALL, pan_px: float = PAN_PX) -> Tensor:
    """Every frame held to those before it."""
    there = torch.zeros(1, 2, *SIZE)
    there[:, 0] = -pan_px
    drawings = [
        Drawing(Bands.of(frame[None]), None if guide is None else guide[t : t + 1]) for t, frame in enumerate(video)
    ]
    memory, found = first(drawings[0]), [video[0]]
    for drawing, frame in zip(drawings[1:], video[1:], strict=True):
        step = held(memory, drawing, Way.of(there, -there, SIZE), options)
        memory = step.memory
        found.append(frame + step.detail)
    return torch.stack(found)


def test_redrawn_texture_moves_with_its_surface_and_stays_sharp() -> None:
    guide = surface(10)
    video = redrawn(guide)
    result = hold(video, guide)
    assert along_pan(result).mean() < 0.1 * along_pan(video).mean()
    energy = [each[1:].diff(dim=-1).square().mean() for each in (result, video)]
    assert 0.9 < energy[0] / energy[1] < 1.1


def test_a_part_of_the_hold_keeps_a_part_of_the_change_and_all_of_the_strength() -> None:
    guide = surface(6)
    video = redrawn(guide)
    half, none = (hold(video, guide, HoldOptions(share)) for share in (0.5, 0.0))
    assert along_pan(hold(video, guide)).mean() < along_pan(half).mean() < 0.8 * along_pan(video).mean()
    assert 0.85 < half[1:].diff(dim=-1).square().mean() / video[1:].diff(dim=-1).square().mean() < 1.15
    assert torch.allclose(none, video, atol=1e-5)


def test_where_the_guide_changes_what_is_drawn_now_is_shown_at_once() -> None:
    guide = surface(6)
    guide[3:, :, 20:44, 30:60] = (0.5 + 0.2 * noise(9, 24, 30, 2)).clamp(0, 1)
    video = redrawn(guide)
    result = hold(video, guide)
    change = (result - video)[3].abs().mean(0)
    assert change[25:39, 36:54].mean() < 0.004
    assert change[46:56].mean() > 0.03  # held beside it


def test_light_in_the_large_is_never_held() -> None:
    guide = surface(6)
    video = redrawn(guide)
    video[3:] = (video[3:] - 0.15).clamp(0, 1)  # the edit darkens, its guide does not
    result = hold(video, guide)
    means = [F.avg_pool2d(each[4:5], 31)[..., :1, 1:2].mean() for each in (result, video)]
    assert abs(means[0] - means[1]) < 0.02


def test_strong_texture_is_not_laid_over_a_smooth_face() -> None:
    guide = torch.full((4, 1, *SIZE), 0.5)
    video = redrawn(guide)
    video[2:, :, :, 48:] = 0.5  # it draws nothing there any more
    result = hold(video, guide, pan_px=0)
    assert (result - video)[2:, :, :, 60:].abs().max() < 0.02
    assert (result - video)[2:, :, :, 12:36].abs().mean() > 0.05


def test_without_a_guide_the_flow_alone_says_what_stays() -> None:
    video = redrawn(surface(8), 0.06)
    assert along_pan(hold(video, None)).mean() < 0.3 * along_pan(video).mean()


def test_a_mean_of_two_drawings_is_as_strong_as_they_are() -> None:
    old, new = (noise(seed, *SIZE, 1)[None].repeat(1, 3, 1, 1) for seed in (1, 2))
    half = torch.full((1, 1, *SIZE), 0.5)
    assert 0.9 < blended(old, new, half, torch.zeros_like(half)).square().mean() < 1.1
    assert torch.allclose(blended(old, old, half, torch.ones_like(half)), old, atol=1e-6)

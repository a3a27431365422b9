"""Matches at every distance: the right frames, the right way, row by row."""

import pytest
import torch

from deflicker.motion.correspondence import build_matches
from deflicker.motion.warp import inside, warp

HEIGHT, WIDTH = 16, 24
LAGS = (1, 2, 4, 8)


def shifts(frames: int) -> torch.Tensor:
    """A different shift (dx, dy) in every step, small and whole: `[T - 1, 2]`."""
    step = torch.arange(frames - 1)
    return torch.stack([step % 3 - 1, step * 2 % 5 - 2], 1).float()


def flows(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    forward_px = shifts(frames).view(-1, 2, 1, 1).expand(-1, 2, HEIGHT, WIDTH)
    return forward_px, -forward_px


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 9, 12])
def test_rows_begin_where_they_say(frames):
    matches = build_matches(*flows(frames), LAGS)
    assert set(matches) == {sign * lag for lag in LAGS if lag < frames for sign in (1, -1)}
    for offset, match in matches.items():
        assert match.offset == offset
        assert match.start == max(0, -offset)
        assert match.flow_px.shape == (frames - abs(offset), 2, HEIGHT, WIDTH)
        assert match.visible.shape == (frames - abs(offset), 1, HEIGHT, WIDTH)


@pytest.mark.parametrize("frames", [2, 5, 12])
def test_flow_leads_from_each_frame_to_the_one_at_its_offset(frames):
    place = torch.cat([torch.zeros(1, 2), shifts(frames).cumsum(0)])  # of the picture in every frame
    for offset, match in build_matches(*flows(frames), LAGS).items():
        for row in range(frames - abs(offset)):
            at = match.start + row
            expected = place[at + offset] - place[at]
            seen = match.visible[row, 0] > 0
            assert seen.float().mean() > 0.2
            found = match.flow_px[row].permute(1, 2, 0)[seen]
            torch.testing.assert_close(found, expected.expand_as(found), atol=1e-4, rtol=0)


def test_visible_pixels_show_the_same_thing():
    """A wide picture seen through a moving window: what a match calls visible is equal in both frames."""
    frames = 10
    wide = torch.rand(3, HEIGHT + 60, WIDTH + 60, generator=torch.Generator().manual_seed(0))
    place = torch.cat([torch.zeros(1, 2), shifts(frames).cumsum(0)]).int()
    clip = torch.stack([wide[:, 30 - y :, 30 - x :][:, :HEIGHT, :WIDTH] for x, y in place.tolist()])
    for offset, match in build_matches(*flows(frames), LAGS).items():
        n = len(match.flow_px)
        there = warp(clip[match.start + offset :][:n], match.flow_px)
        here = clip[match.start :][:n]
        torch.testing.assert_close(there * match.visible, here * match.visible, atol=1e-4, rtol=0)


def test_a_match_stays_inside_on_its_way():
    """Out of the picture and back in again is no match, although it ends inside."""
    forward_px = torch.tensor([[5.0, 0.0], [-5.0, 0.0]]).view(2, 2, 1, 1).expand(2, 2, HEIGHT, WIDTH)
    matches = build_matches(forward_px, -forward_px, (1, 2))
    assert torch.equal(matches[2].visible, inside(forward_px[:1]))
    assert matches[2].visible[..., -5:].max() == 0
    assert torch.equal(matches[-2].visible, inside(-forward_px[1:]))


def test_each_leg_is_read_where_the_one_before_it_ended():
    """A vortex and a shift do not commute: following them from frame to frame is what a longer match must do."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing="ij")
    vortex = torch.stack([1.2 * x, -0.9 * y])
    forward_px = torch.stack([torch.tensor([3.0, 0.0]).view(2, 1, 1).expand_as(vortex), vortex])
    backward_px = torch.stack([-forward_px[0], -vortex / (1 + torch.tensor([2.4 / 23, -1.8 / 15]).view(2, 1, 1))])
    matches = build_matches(forward_px, backward_px, (1, 2))
    there = forward_px[:1] + warp(forward_px[1:], forward_px[:1])
    back = backward_px[1:] + warp(backward_px[:1], backward_px[1:])
    for match, expected in ((matches[2], there), (matches[-2], back)):
        assert match.visible.mean() > 0.5
        torch.testing.assert_close(match.flow_px, expected, atol=1e-5, rtol=0)
    # There and back again is where one was.
    again = (matches[2].flow_px + warp(matches[-2].flow_px, matches[2].flow_px)) * matches[2].visible
    assert again.abs().max() < 0.2


def test_the_visible_share_is_what_stays_in_the_picture():
    matches = build_matches(*flows(5), (1, 2))
    assert matches[1].visible.mean((1, 2, 3)).tolist() == pytest.approx(
        [float((WIDTH - abs(x)) * (HEIGHT - abs(y))) / (WIDTH * HEIGHT) for x, y in shifts(5).tolist()]
    )

"""Sampling along motion, by hand: shifts are shifts, flows add up, and a match that does not return is not seen."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deflicker.motion.warp import compose, inside, sample, target_grid, visibility, warp

HEIGHT, WIDTH = 12, 16


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def constant(dx: float, dy: float, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    return torch.tensor([dx, dy]).float().view(1, 2, 1, 1).expand(1, 2, height, width)


ONES = torch.ones(1, 1, HEIGHT, WIDTH)


@settings(deadline=None, max_examples=40)
@given(st.integers(-5, 5), st.integers(-5, 5))
@example(0, 0)
def test_a_whole_shift_is_a_roll_inside(dx, dy):
    image = noise(1, 3, HEIGHT, WIDTH)
    moved = warp(image, constant(dx, dy))
    rolled = image.roll((-dy, -dx), (2, 3))
    within = inside(constant(dx, dy))
    assert within.sum() == (HEIGHT - abs(dy)) * (WIDTH - abs(dx))
    torch.testing.assert_close(moved * within, rolled * within, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (64, 96)])
def test_no_flow_changes_nothing(size):
    image = noise(2, 3, *size)
    torch.testing.assert_close(warp(image, torch.zeros(2, 2, *size)), image, atol=2e-5, rtol=0)
    assert inside(torch.zeros(2, 2, *size)).min() == 1


def test_half_a_pixel_is_a_mean_of_two():
    image = noise(1, 1, HEIGHT, WIDTH)
    moved = warp(image, constant(0.5, 0))
    torch.testing.assert_close(moved[..., :-1], (image[..., 1:] + image[..., :-1]) / 2, atol=1e-5, rtol=0)


def test_outside_takes_the_borders_value():
    image = noise(1, 1, HEIGHT, WIDTH)
    moved = warp(image, constant(1000, 0))
    torch.testing.assert_close(moved, image[..., -1:].expand_as(image), atol=1e-5, rtol=0)


def test_each_pixel_goes_its_own_way():
    """x and y are not mixed up, and every frame of the batch has its own flow."""
    image = torch.stack(torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij"))[None].expand(
        2, -1, -1, -1
    )
    flow_px = torch.zeros(2, 2, HEIGHT, WIDTH)
    flow_px[0, 0, 3, 4] = 2
    flow_px[1, 1, 5, 6] = -3
    moved = warp(image, flow_px)
    assert moved[0, :, 3, 4].tolist() == pytest.approx([3, 6], abs=1e-4)
    assert moved[1, :, 5, 6].tolist() == pytest.approx([2, 6], abs=1e-4)
    assert moved[0, :, 5, 6].tolist() == pytest.approx([5, 6], abs=1e-4)


def test_nearest_keeps_whole_values():
    image = (noise(1, 1, HEIGHT, WIDTH) > 0.5).float()
    moved = sample(image, target_grid(constant(0.3, -0.2)), "nearest")
    assert set(moved.unique().tolist()) == {0.0, 1.0}


@settings(deadline=None, max_examples=30)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3))
def test_flows_add_up(dx, dy, dx_then, dy_then):
    flow_px, visible = compose(constant(dx, dy), ONES, constant(dx_then, dy_then), ONES)
    torch.testing.assert_close(flow_px, constant(dx + dx_then, dy + dy_then), atol=1e-5, rtol=0)
    stays = inside(constant(dx + dx_then, dy + dy_then))
    assert torch.equal(visible, stays)


def test_composed_flow_follows_the_first():
    """The second flow is read where the first one leads, and so is whether it can be trusted."""
    first_px = constant(3, 0)
    then_px = torch.zeros(1, 2, HEIGHT, WIDTH)
    then_px[..., 8] = 1.0
    then_visible = ONES.clone()
    then_visible[..., 10] = 0
    first_visible = ONES.clone()
    first_visible[..., 1] = 0
    flow_px, visible = compose(first_px, first_visible, then_px, then_visible)
    assert flow_px[0, :, 4, 5].tolist() == pytest.approx([4, 1], abs=1e-4)
    assert flow_px[0, :, 4, 8].tolist() == pytest.approx([3, 0], abs=1e-4)
    assert [int(visible[0, 0, 4, x]) for x in (0, 1, 2, 6, 7, 8, 12, 13)] == [1, 0, 1, 1, 0, 1, 1, 0]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, -2), (-4, 0), (0.5, 5)])
def test_a_consistent_shift_is_visible_until_it_leaves(dx, dy):
    visible = visibility(constant(dx, dy), constant(-dx, -dy))
    assert torch.equal(visible, inside(constant(dx, dy)))
    assert 0 < visible.mean() <= 1


@pytest.mark.parametrize(
    ("forward", "backward"), [((3, 0), (3, 0)), ((0, 0), (2, 0)), ((2, 1), (-2, 1)), ((5, 0), (0, 0))]
)
def test_what_does_not_return_is_not_visible(forward, backward):
    assert visibility(constant(*forward), constant(*backward)).max() == 0


def test_small_errors_are_forgiven_and_more_so_in_fast_motion():
    assert visibility(constant(0, 0), constant(0.2, 0)).min() == 1
    assert visibility(constant(0, 0), constant(0.7, 0)).max() == 0
    fast = visibility(constant(8, 0), constant(-7.3, 0))
    assert torch.equal(fast, inside(constant(8, 0)))


def test_occluded_pixels_are_not_visible():
    """A square moves over a still ground: the ground it comes to cover has no match, the rest has."""
    forward_px, backward_px = torch.zeros(2, 1, 2, 20, 20)
    forward_px[..., 0, 6:14, 4:10] = 4
    backward_px[..., 0, 6:14, 8:14] = -4
    visible = visibility(forward_px, backward_px)[0, 0]
    assert visible[6:14, 4:10].min() == 1
    assert visible[7:13, 10:14].max() == 0
    assert visible[:5].min() == 1
    assert visible[6:14, 15:].min() == 1

"""Cuts that likeness does not show are found where motion is lost, and only where it is usually seen."""

import pytest
import torch
from torch import Tensor

from deflicker.core.blocks import Packer, unpack
from deflicker.motion.cuts import likeness, structure
from deflicker.motion.flow_cuts import FlowCutFinder
from tests.correction.scenes import rng, texture
from tests.driving import track

HEIGHT, WIDTH = 96, 160
MIRRORED = 0.5 * (texture(HEIGHT, WIDTH, 1) + texture(HEIGHT, WIDTH, 1).flip(2))
SIDES = texture(HEIGHT, WIDTH, 2) - texture(HEIGHT, WIDTH, 2).flip(2)
ONE, OTHER = (MIRRORED + side * 0.4 * SIDES for side in (1, -1))
"""A picture and its mirror image. Their likeness is that of one shot."""


class Follower:
    """Stands in for the network: nothing moves within a picture; between different ones flow is noise."""

    def features(self, frames: Tensor) -> list[Tensor]:
        return list(structure(frames))

    def flow(self, first: list[Tensor], second: list[Tensor]) -> tuple[Tensor, Tensor]:
        unlike = torch.tensor([(a * b).mean() < 0.5 * (a * a).mean() for a, b in zip(first, second, strict=True)])
        noise = 9 * torch.randn(2, len(first), 2, HEIGHT // 8, WIDTH // 8, generator=rng(1))
        there, back = noise.repeat_interleave(8, 3).repeat_interleave(8, 4) * unlike.view(-1, 1, 1, 1)
        return there, back


def shots(looks: str) -> list[int]:
    """Frames that start a shot. looks: one letter a frame, `a` or its mirror image `b`, `.` for black."""
    frames = {"a": ONE, "b": OTHER, ".": torch.zeros_like(ONE)}
    noisy = (
        (number, frames[look] + 0.002 * torch.randn(1, HEIGHT, WIDTH, generator=rng(number)))
        for number, look in enumerate(looks)
    )
    return [each.picture for each in track(noisy, Follower()) if each.starts_shot]


def test_a_mirror_image_is_about_as_like_as_a_picture_of_the_shot():
    assert likeness(*structure(torch.stack([ONE, OTHER])).split(1)).item() > 0.45


@pytest.mark.parametrize(
    ("looks", "wanted"),
    [
        ("aaaaaabbbbbb", [0, 6]),
        ("aaaaaaabbbbbb", [0, 7]),  # at the end of a batch
        ("aaaaaaaabbbbbb", [0, 8]),
        ("aaaabbbaaaaaabb", [0, 4, 7, 13]),
        ("aaaaaaaaaaab", [0, 11]),
        ("aabbb", [0, 2]),
        ("aaabbaaa", [0, 3, 5]),
    ],
)
def test_a_cut_to_the_mirror_image(looks, wanted):
    assert shots(looks) == wanted


@pytest.mark.parametrize(
    "looks", ["aaaaaabaaaaa", "aaaaaaabaaaa", "aaaaaaaabaaa", "aaaaa...aaaa", "aaaaaa......", "......aaaaaa"]
)
def test_an_odd_picture_and_black_are_no_cut(looks):
    assert shots(looks) == [0]


@pytest.mark.parametrize("looks", ["abababababab", "aabbaabbaabbaabb"])
def test_nothing_is_cut_where_motion_is_seldom_seen(looks):
    """As where every picture or every second one is drawn anew, in copies that noise tells apart."""
    assert shots(looks) == [0]


def test_what_it_remembers_is_stored():
    flow = torch.zeros(5, 2, HEIGHT, WIDTH)
    at = structure(ONE[None])[0]
    first = FlowCutFinder()
    assert first.openings([(at, at, at)] * 5, flow, flow) == [False] * 5
    packed = Packer().pack(first.state_dict())
    second = FlowCutFinder()
    second.load_state_dict(unpack(packed, {}, torch.device("cpu")))
    lost = structure(OTHER[None])[0], 9 * torch.randn(1, 2, HEIGHT, WIDTH, generator=rng(2))
    for finder in (first, second):
        assert finder.openings([(at, lost[0], None)], lost[1], lost[1]) == [True]
    assert FlowCutFinder().openings([(at, lost[0], None)], lost[1], lost[1]) == [False]

"""The way back to a shot's first picture: walked link by link, exact after many of them, ended by a gap."""

import torch
from torch import Tensor

from deflicker.correction.texture.links import Link, View
from deflicker.correction.texture.reference_hold import Held
from tests.correction.scenes import texture

STEP_PX = 1.25


def moved(number: int) -> Tensor:
    """The scene `[96, 128]` after `number` steps to the left, by Fourier shift: exact for any part of a pixel."""
    wide = texture(96, 256)[0]
    waves = torch.fft.rfftfreq(256) * STEP_PX * number
    return torch.fft.irfft(torch.fft.rfft(wide) * torch.exp(2j * torch.pi * waves), n=256)[:, 64:192]


def walk(count: int, *, wrong_px: float = 0.0) -> Held:
    """The first picture as seen from the one after so many links, whose flow is wrong by `wrong_px` each."""
    first = View.of(moved(0).expand(3, -1, -1))
    held, here = Held(moved(0).expand(1, 3, -1, -1), first.even), first
    flow = torch.tensor([-STEP_PX, 0.0]).view(1, 2, 1, 1).expand(1, 2, 96, 128)
    there, back = flow + wrong_px, -flow + wrong_px
    ones, errors = torch.ones(1, 1, 96, 128), torch.zeros(1, 1, 96, 128)
    for number in range(1, count + 1):
        here = View.of(moved(number).expand(3, -1, -1))
        next_one = held.seen_from(number, Link(there, back, ones, ones, errors, errors), here)
        assert next_one is not None
        held = next_one
    return held


def inner(image: Tensor) -> Tensor:
    return image[..., 16:-16, 32:-32]


def test_the_first_picture_lies_on_the_last() -> None:
    """Errors of a tenth of a pixel a link are a pixel after ten; refined, they do not add up."""
    for wrong_px in (0.0, 0.1):
        anchor = walk(10, wrong_px=wrong_px).anchor(0.5)
        assert anchor is not None
        assert anchor.share == 0.5
        assert float(inner(anchor.visible).mean()) > 0.98
        error = inner(anchor.colours)[0, 0] - inner(moved(10))
        assert float(error.square().mean().sqrt()) < 0.01


def test_a_gap_ends_it() -> None:
    held = walk(2)
    link = Link(*[torch.zeros(1, 2, 96, 128)] * 2, *[torch.ones(1, 1, 96, 128)] * 4)
    assert held.seen_from(4, link, View.of(moved(4).expand(3, -1, -1))) is None


def test_at_the_start_there_is_nothing_to_hold_to() -> None:
    assert walk(0).anchor(1.0) is None

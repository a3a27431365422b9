"""A flash is told from flicker, lamps, fades, swells and cuts; and from nothing but the tone of whole frames."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.correction.scenes import rng
from tests.driving import find_flashes, record

FRAMES = 48


def marked(tones: list[float], excluded: tuple[int, ...] = (), *, sure: bool = False) -> list[int]:
    """The frames taken for flashes of a video whose pictures have these levels."""
    proxies = [torch.full((3, 8, 8), tone).clamp(0, 1) for tone in tones]
    frames = [record(n, proxy, proxy, "excluded" if n in excluded else None) for n, proxy in enumerate(proxies)]
    found = list(find_flashes(frames, sure=sure))
    assert [each.picture for each in found] == list(range(len(tones)))
    assert all(each.proxy is proxies[each.picture] for each in found)
    return [each.picture for each in found if each.skip == "flash"]


def with_flashes(where: dict[int, float], base: float = 0.3) -> list[float]:
    return [where.get(frame, base) for frame in range(FRAMES)]


def noise(sd: float, seed: int = 0) -> list[float]:
    return torch.randn(FRAMES, generator=rng(seed)).mul(sd).exp().tolist()


FLASHES = {
    "one frame": {20: 0.6},
    "white": {20: 1.0},
    "in the dark": dict.fromkeys(range(20, 22), 0.2),
    "six frames": dict.fromkeys(range(20, 26), 0.5),
    "first frame": {0: 0.6},
    "last frame": {47: 0.6},
    "that dies away": {20: 0.9, 21: 0.7, 22: 0.5, 23: 0.42},
    "lightning of three strokes": {20: 0.8, 21: 0.6, 23: 0.9, 26: 0.7, 27: 0.5},
    "strobe, every third frame": dict.fromkeys(range(0, FRAMES, 3), 0.7),
    "strobe, every second frame": dict.fromkeys(range(1, FRAMES, 2), 0.7),
    "strobe, two on and three off": {f: 0.7 for f in range(FRAMES) if f % 5 < 2},
}


@pytest.mark.parametrize("name", FLASHES)
@pytest.mark.parametrize("sd", [0.0, 0.02])
def test_flashes_are_found(name, sd):
    where, base = FLASHES[name], 0.05 if name == "in the dark" else 0.3
    tones = [tone * gain for tone, gain in zip(with_flashes(where, base), noise(sd), strict=True)]
    assert marked(tones) == sorted(where)


NO_FLASH = {
    "nothing": [0.3] * FRAMES,
    "black": [0.0] * FRAMES,
    "noise in the dark": [0.004 * gain for gain in noise(0.3)],
    "lamp on": [0.3] * 20 + [0.6] * 28,
    "lamp off": [0.6] * 20 + [0.3] * 28,
    "lamp on for a while": [0.3] * 20 + [0.6] * 7 + [0.3] * 21,
    "fade in": [0.6 * frame / FRAMES for frame in range(FRAMES)],
    "fade out": [0.6 - 0.6 * frame / FRAMES for frame in range(FRAMES)],
    "swell": [0.3 * math.exp(0.3 * math.sin(frame / 4)) for frame in range(FRAMES)],
    "black frames": with_flashes({20: 0.0, 21: 0.0, 33: 0.0}),
    "slight": with_flashes({20: 0.34}),
    "cut to a bright shot": [0.2] * 24 + [0.7] * 24,
    "pump": [0.3 * math.exp(0.1 * (-1) ** frame) for frame in range(FRAMES)],
}


@pytest.mark.parametrize("name", NO_FLASH)
def test_other_light_is_no_flash(name):
    assert marked(NO_FLASH[name]) == []


@pytest.mark.parametrize(
    "name", ["white", "in the dark", "that dies away", "lightning of three strokes", "six frames at twice the light"]
)
@pytest.mark.parametrize("sd", [0.0, 0.02])
def test_a_flash_of_twice_the_light_needs_nobodys_word(name, sd):
    where = FLASHES.get(name, dict.fromkeys(range(20, 26), 0.75))
    base = 0.05 if name == "in the dark" else 0.3
    tones = [tone * gain for tone, gain in zip(with_flashes(where, base), noise(sd), strict=True)]
    assert marked(tones, sure=True) == sorted(where)


@pytest.mark.parametrize(
    "name", [*NO_FLASH, "one frame", "six frames", "first frame", "last frame", "strobe, every second frame"]
)
def test_what_may_be_flicker_needs_it(name):
    assert marked(NO_FLASH[name] if name in NO_FLASH else with_flashes(FLASHES[name]), sure=True) == []


@pytest.mark.parametrize("kind", ["every frame anew", "slower", "pump", "every third frame", "swell"])
@pytest.mark.parametrize("seed", range(4))
def test_no_flicker_passes_for_a_flash(kind, seed):
    random = torch.randn(480, generator=rng(seed)).tolist()
    slow = list(accumulate(random, lambda last, new: 0.6 * last + 0.8 * new))
    logs = {
        "every frame anew": [0.15 * each for each in random],
        "slower": [0.15 * each for each in slow],
        "pump": [0.4 * (-1) ** frame + 0.02 * each for frame, each in enumerate(random)],
        "every third frame": [0.5 * (frame % 3 == 0) + 0.02 * each for frame, each in enumerate(random)],
        "swell": [0.4 * math.sin(frame * 2 * math.pi / 5.3) for frame in range(480)],
    }[kind]
    assert marked([0.35 * math.exp(each) for each in logs], sure=True) == []


@pytest.mark.parametrize("sd", [0.1, 0.25])
@pytest.mark.parametrize("seed", range(8))
def test_only_the_brightest_frames_of_flicker_are_taken_for_flashes(seed, sd):
    """And with the user's word only, who says that there are some."""
    gains = noise(sd, seed)
    found = marked([0.3 * gain for gain in gains])
    assert len(found) <= FRAMES / 6
    assert all(gains[frame] > 1 for frame in found)
    assert marked([0.3 * gain for gain in gains], sure=True) == []


def test_a_flash_stands_out_from_flicker():
    tones = [tone * gain for tone, gain in zip(with_flashes({20: 0.9, 21: 0.8}), noise(0.1, 3), strict=True)]
    assert marked(tones, sure=True) == [20, 21]


def test_doubtful_flashes_stay():
    """Press flashes over flicker of a tenth, which a bound of five standard deviations would lose for the most part."""
    where = dict.fromkeys((6, 14, 15, 24, 33, 34, 42), 1.45)
    runs = [[0.3 * where.get(n, 1) * gain for n, gain in enumerate(noise(0.1, seed))] for seed in range(20)]
    found = [len(set(where) & set(marked(tones))) for tones in runs]
    assert sum(found) > 0.75 * len(where) * len(runs)


@pytest.mark.parametrize("seed", range(8))
def test_every_press_flash_is_found_over_flicker(seed):
    """Cameras at a press conference, nearly half as bright again for one or two frames, over flicker."""
    where = {12: 1.45, 24: 1.45, 25: 1.35, 38: 1.45}
    tones = [0.45 * where.get(n, 1.0) * gain for n, gain in enumerate(noise(0.03, seed))]
    assert set(where) <= set(marked(tones))
    assert len(marked(tones)) <= len(where) + 1


def test_what_is_excluded_stays_excluded():
    assert marked(with_flashes({20: 0.6, 30: 0.6}), excluded=(20, 21)) == [30]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_any_video_comes_through(tones):
    marked(tones)


@pytest.mark.parametrize("sd", [0.0, 0.03])
def test_a_weak_flash_that_is_cut_off_at_white_is_found_with_the_users_word(sd):
    """The bright half of the picture cannot rise: its mean does by a fifth only."""
    half = (torch.arange(8) < 4).float()
    picture = 0.25 + 0.7 * half.expand(3, 8, 8)
    gains = [gain * (1.45 if n in (20, 31, 32) else 1) for n, gain in enumerate(noise(sd))]
    frames = [record(n, proxy, proxy) for n, proxy in enumerate((picture * gain).clamp(0, 1) for gain in gains)]
    assert [each.picture for each in find_flashes(frames, sure=False) if each.skip] == [20, 31, 32]


def test_light_that_grows_hides_no_flash():
    tones = [0.15 * 1.02**n * (1.6 if n in (12, 25) else 1) for n in range(FRAMES)]
    assert marked(tones) == [12, 25]


@pytest.mark.parametrize("first", [3, 4])
@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("sd", [0.0, 0.02])
def test_light_that_grows_hides_no_flash_of_the_first_frames(first, length, sd):
    """By a tenth over each four frames: the level after the flash is nearly its own."""
    where = [*range(first, first + length), 20]
    tones = [0.35 * 1.025**n * gain * (1.35 if n in where else 1) for n, gain in enumerate(noise(sd, 4)[:30])]
    assert marked(tones) == where


def test_a_step_behind_growth_is_no_flash():
    """Nor is the end of a fade."""
    assert marked([0.2 * 1.03**n for n in range(20)] + [0.6 * 0.97**n for n in range(20)]) == []
    assert marked([0.05 * 1.12 ** min(n, 20) for n in range(40)]) == []
    assert marked([0.2 * 1.03**n * (1.5 if n >= 20 else 1) for n in range(40)]) == []

"""The estimate grows with what is held, and the window shrinks until it fits or nothing can."""

from dataclasses import replace
from itertools import pairwise

import pytest

from deflicker.core.errors import SettingsError
from deflicker.core.memory import FLASH_FRAMES, LOCKING_REACH, TEXTURE_FRAMES, estimate, fit
from deflicker.core.presets import PRESETS
from deflicker.correction.texture.keyframe_locking import FAR, KEYS_APART
from deflicker.correction.texture.stabilize import AHEAD, BLOCK
from deflicker.motion import flashes

FULL_HD = (1920, 1080, 1920 * 1080 * 3 // 2)
presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


@presets
def test_larger_frames_take_more(preset):
    sizes = [(64, 48), (640, 360), (1280, 720), (1920, 1080), (3840, 2160), (7680, 4320)]
    needs = [estimate(width, height, width * height * 3 // 2, preset) for width, height in sizes]
    assert all(a < b for a, b in pairwise(needs))
    assert estimate(1080, 1920, FULL_HD[2], preset) == estimate(*FULL_HD, preset)
    assert estimate(*FULL_HD[:2], 2 * FULL_HD[2], preset) > estimate(*FULL_HD, preset)


@presets
def test_longer_windows_take_more(preset):
    for part in ("history_frames", "core_frames", "lookahead_frames"):
        longer = replace(preset, **{part: 2 * getattr(preset, part)})
        assert estimate(*FULL_HD, longer) > estimate(*FULL_HD, preset)


@presets
def test_every_picture_held_is_counted(preset):
    """A frame that waits takes its planes at least once."""
    held = preset.core_frames + preset.lookahead_frames
    assert estimate(*FULL_HD, preset) > held * FULL_HD[2]


@presets
def test_frames_that_wait_for_flashes_are_counted(preset):
    assert FLASH_FRAMES == 2 * flashes.AHEAD
    assert estimate(*FULL_HD, preset) > (preset.core_frames + preset.lookahead_frames + FLASH_FRAMES) * FULL_HD[2]


@presets
def test_no_bound_or_a_wide_one_changes_nothing(preset):
    assert fit(*FULL_HD, preset, None) is preset
    assert fit(*FULL_HD, preset, estimate(*FULL_HD, preset)) is preset
    assert fit(*FULL_HD, preset, 1 << 50) is preset


@presets
def test_a_bound_shortens_the_window_and_is_kept(preset):
    full = estimate(*FULL_HD, preset)
    shortest = fit_least(preset)
    least = estimate(*FULL_HD, shortest)
    assert shortest.window_frames < preset.window_frames
    before = preset
    for share in (0.8, 0.5, 0.2, 0.0):
        bound = round(least + share * (full - least))
        fitted = fit(*FULL_HD, preset, bound)
        assert estimate(*FULL_HD, fitted) <= bound
        for part in ("history_frames", "core_frames", "lookahead_frames"):
            assert 0 < getattr(fitted, part) <= getattr(before, part)
        # First the window gives way, then texture is left alone: what is seen of the motion stays.
        assert fitted.texture_reach == preset.texture_reach or fitted.window_frames == shortest.window_frames
        given_way = ("history_frames", "core_frames", "lookahead_frames", "texture_reach", "latents")
        assert replace(fitted, **{k: getattr(preset, k) for k in given_way}) == preset
        before = fitted
    assert before == shortest


def fit_least(preset):
    """The shortest window there is, found by asking for less and less."""
    bound, fitted = estimate(*FULL_HD, preset), preset
    while True:
        try:
            fitted = fit(*FULL_HD, preset, bound - 1)
        except SettingsError:
            return fitted
        bound = estimate(*FULL_HD, fitted)


@presets
def test_too_little_is_told_with_what_is_needed(preset):
    needed = estimate(*FULL_HD, fit_least(preset))
    with pytest.raises(SettingsError, match=rf"1920x1080.*{needed / 2**30:.1f}G"):
        fit(*FULL_HD, preset, needed - 1)
    with pytest.raises(SettingsError, match="max_memory"):
        fit(64, 48, 64 * 48, preset, 1 << 20)


def test_frames_that_wait_for_texture_are_counted():
    assert TEXTURE_FRAMES == AHEAD + BLOCK


def test_an_autoencoder_is_counted_where_latents_are_used():
    with_latents = PRESETS["quality"]
    least, more = (estimate(*FULL_HD, with_latents, codec_bytes=amount) for amount in (0, 2 << 30))
    assert more - least == 2 << 30
    without = replace(with_latents, latents=False)
    assert estimate(*FULL_HD, without, codec_bytes=2 << 30) == estimate(*FULL_HD, without)
    assert fit(*FULL_HD, with_latents, more, codec_bytes=2 << 30) is with_latents
    assert not fit(*FULL_HD, with_latents, least, codec_bytes=8 << 30).latents


def test_pictures_that_may_be_locked_are_counted_in_colour():
    assert FAR[0] == LOCKING_REACH
    assert KEYS_APART == BLOCK
    locking, averaging = (replace(PRESETS["quality"], latents=False, texture_reach=reach) for reach in (3, 2))
    pictures, pixels = KEYS_APART + BLOCK, 1920 * 1080
    assert estimate(*FULL_HD, locking) - estimate(*FULL_HD, averaging) > pictures * 2 * 3 * 4 * pixels

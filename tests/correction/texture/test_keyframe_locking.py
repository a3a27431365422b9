"""Locking: what boils with a memory is told from what does not, and only it takes the texture of its keys."""

from dataclasses import replace

import pytest
import torch

from deflicker.correction.texture.boil_estimate import Neighbours
from deflicker.correction.texture.differences import LEVELS
from deflicker.correction.texture.keyframe_locking import (
    FAR,
    KEYS_APART,
    Lasting,
    Source,
    how_far_locked,
    lasting,
    locked,
    nearness,
)
from tests.correction.scenes import texture

SIZE = (128, 192)
OFFSETS = (1, 2, 3, 4, -1, -2, -3, -4)
CELLS = (4, 6)


def grain(frames, seed=3):
    """Detail of some pixels of deviation 1, new in every frame, `[T, 3, H, W]`, alike in all colours."""
    noise = torch.randn(frames, 1, SIZE[0] // 2, SIZE[1] // 2, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(noise, size=SIZE, mode="bicubic")
    fine = fine - torch.nn.functional.avg_pool2d(fine, 17, 1, 8)
    return (fine / fine.std()).expand(-1, 3, -1, -1)


def remembered(frames, memory, deviation, seed=3):
    """An AR(1) process in each pixel."""
    drawn, state, states = grain(frames + 20, seed), 0, []
    for each in drawn:
        state = memory * state + (1 - memory**2) ** 0.5 * each
        states.append(state)
    return deviation * torch.stack(states[20:])


def around(colours, at=4, *, error_px=0.02, visible=None):
    """(luma of a frame, its neighbours) of a still scene `[T, 3, H, W]`."""
    luma = colours.mean(1, keepdim=True)
    there = torch.stack([luma[at + offset] for offset in OFFSETS])
    seen = torch.ones_like(there) if visible is None else visible
    return luma[at : at + 1], Neighbours(OFFSETS, there, seen, torch.full_like(luma[:1], error_px))


def key(strength=1.0, change=1e-3):
    scalar = torch.tensor(1.0)
    cells = torch.full((1, 1, *CELLS), strength)
    return Lasting(
        cells,
        torch.ones_like(cells),
        tuple(torch.full((1, 1, *CELLS), change) for _ in range(LEVELS)),
        scalar,
        scalar,
        scalar,
    )


def source(colours, *, near=1.0, strength=1.0, change=1e-3, visible=None):
    seen = torch.ones_like(colours[:, :1]) if visible is None else visible
    return Source(colours, torch.zeros(1, 2, *SIZE), seen, near, key(strength, change))


def scene(seed=0):
    return texture(*SIZE, seed)[None]


def energy(difference):
    return float(difference.square().mean())


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_boil_is_told_whatever_its_memory(memory):
    """E[D₋D₊] / E[D²] at lag k is (1 − φᵏ) / 2 for an AR(1) texture: 0.29 at φ = 0.8 and lags of 3 and 4."""
    told = lasting(*around(scene() + remembered(9, memory, 0.03)))
    lags = [(i, j) for i in FAR for j in FAR]
    across = sum(1 - memory**i - memory**j + memory ** (i + j) for i, j in lags) / len(lags)
    change = sum(2 - 2 * memory**i for i in FAR) / len(FAR)
    assert float(told.share) == pytest.approx(across / change, abs=0.07)
    assert float(told.opening()) > 0.9
    assert float(told.coverage) > 0.8


def test_what_moves_on_is_no_boil():
    """A slow change and a pan that the motion misses differ from both sides, each in its own way."""
    slope = torch.arange(9).view(-1, 1, 1, 1) * 0.004
    changing = scene() + slope * scene(5)
    missed = torch.stack([texture(SIZE[0], SIZE[1] + 9, 1)[:, :, t : t + SIZE[1]] for t in range(9)])
    for frames in (changing, missed):
        assert float(lasting(*around(frames)).opening()) == 0
    assert float(lasting(*around(scene().expand(9, -1, -1, -1))).opening()) == 0


def test_uncertain_motion_and_hidden_neighbours_tell_nothing():
    frames = scene() + remembered(9, 0.5, 0.03)
    assert float(lasting(*around(frames, error_px=1.0)).opening()) == 0
    hidden = torch.ones(len(OFFSETS), 1, *SIZE)
    hidden[..., 20:] = 0
    assert float(lasting(*around(frames, visible=hidden)).opening()) == 0
    luma, near = around(frames)
    rows = [OFFSETS.index(offset) for offset in (1, 2, -1, -2)]
    few = Neighbours((1, 2, -1, -2), near.luma[rows], near.visible[rows], near.flow_error_px)
    assert lasting(luma, few) is None


def test_a_picture_that_stands_alone_does_not_boil():
    """What is in this picture and in none around is a change of the scene, or a fault."""
    frames = scene().repeat(9, 1, 1, 1)
    frames[4] += 0.03 * grain(1)[0]
    told = lasting(*around(frames))
    assert float(told.share) > 0.9
    assert float(told.opening()) == 0


def test_only_where_it_boils():
    boil = remembered(9, 0.5, 0.03)
    boil[..., SIZE[1] // 2 :] = 0
    strength = lasting(*around(scene() + boil)).strength[0, 0]
    assert float(strength[:, :2].min()) > 0.9
    assert float(strength[:, 4:].max()) == 0


def test_locking_gives_way_to_averaging_and_the_usual_key_counts():
    sure, unsure = torch.tensor(1.0), torch.tensor(0.0)
    assert float(how_far_locked([sure, sure], None)) == 1
    assert float(how_far_locked([sure, sure], torch.tensor([0.1, 0.01]))) == 1
    assert float(how_far_locked([sure, sure], torch.tensor([0.3, 0.01]))) == 0
    assert float(how_far_locked([sure, unsure], None)) == 0
    assert float(how_far_locked([sure, unsure, sure], None)) == 1
    assert float(how_far_locked([unsure, sure, unsure], None)) == 0


def test_weights_in_time_add_up_to_one():
    for distance in range(KEYS_APART + 1):
        here, there = nearness(distance, KEYS_APART), nearness(KEYS_APART - distance, KEYS_APART)
        assert here + there == pytest.approx(1)
        assert 0 <= here <= 1
    assert nearness(0, KEYS_APART) == 1


def test_a_picture_takes_its_keys_texture_and_keeps_its_tone():
    truth, boil = scene(), 0.03 * grain(2)
    picture, drawn = truth + boil[:1] + 0.05, truth + boil[1:]
    found = picture + locked(picture, [source(drawn)])
    inner = (..., slice(8, -8), slice(8, -8))
    assert energy((found - 0.05 - drawn)[inner]) < 0.02 * energy((picture - 0.05 - drawn)[inner])
    assert float((found - picture).mean()) == pytest.approx(0, abs=1e-3)


def test_patches_of_tone_are_taken_along():
    """Texture that is drawn anew has patches of its own, lighter and darker."""
    wave = 0.02 * torch.sin(torch.arange(SIZE[1]) * 2 * torch.pi / 64).view(1, 1, 1, -1)
    found = locked(scene() + wave, [source(scene())])
    assert energy((found + wave)[..., 32:-32]) < 0.2 * energy(wave)


def test_crossing_from_key_to_key_keeps_the_energy():
    """Halfway between two drawings their mean has half the energy of either."""
    truth, boil = scene(), 0.04 * grain(3)
    keys = [source(truth + each[None], near=0.5) for each in boil[1:]]
    picture = truth + boil[:1]
    found = picture + locked(picture, keys)
    assert energy(found - truth) == pytest.approx(energy(boil[:1]), rel=0.2)
    blurred = truth + boil[1:].mean(0, keepdim=True)
    assert energy(blurred - truth) < 0.6 * energy(boil[:1])


def test_without_strength_nothing_is_added():
    picture = scene() + 0.03 * grain(1)
    assert torch.equal(locked(picture, [source(scene(), strength=0.0)]), torch.zeros_like(picture))


def test_what_a_key_does_not_show_stays():
    picture, other = scene() + 0.03 * grain(1), scene()
    visible = torch.ones(1, 1, *SIZE)
    visible[..., :64] = 0
    added = locked(picture, [source(other, visible=visible)])
    assert float(added[..., :48].abs().max()) < 0.1 / 255
    assert float(added[..., :56].abs().max()) < 0.3 / 255
    assert energy(added[..., 80:]) > 0.5 * energy((picture - other)[..., 80:])


def test_one_key_that_is_seen_is_enough():
    picture, drawn = scene() + 0.03 * grain(1), scene()
    nothing = torch.zeros(1, 1, *SIZE)
    keys = [source(1 - drawn, near=0.9, visible=nothing), source(drawn, near=0.1)]
    inner = (..., slice(8, -8), slice(8, -8))
    assert energy((picture + locked(picture, keys) - drawn)[inner]) < 0.05 * energy((picture - drawn)[inner])


def test_what_is_in_no_key_stays():
    """An eye that shuts for some pictures is in none of the keys around."""
    drawn = scene()
    picture = drawn + 0.01 * grain(1)
    picture[..., 40:60, 60:90] += 0.1 * grain(1, seed=8)[..., 40:60, 60:90]
    picture.clamp_(0, 1)
    added = locked(picture, [source(drawn, near=0.5, change=1e-4), source(drawn, near=0.5, change=1e-4)])
    assert energy(added[..., 44:56, 64:86]) < 1e-6
    assert energy(added[..., 80:, :]) > 0.5 * energy((picture - drawn)[..., 80:, :])


def test_a_key_that_cannot_tell_leaves_the_word_to_the_other():
    picture, drawn = scene() + 0.03 * grain(1), scene()
    dumb = source(drawn, near=0.8, strength=0.0)
    dumb = replace(dumb, lasting=replace(dumb.lasting, known=torch.zeros(1, 1, *CELLS)))
    denying = source(drawn, near=0.8, strength=0.0)
    full, locked_, left = (
        energy(locked(picture, [first, source(drawn, near=0.2)])) for first in (source(drawn, near=0.8), dumb, denying)
    )
    assert locked_ == pytest.approx(full, rel=1e-3)
    assert left < 0.1 * full

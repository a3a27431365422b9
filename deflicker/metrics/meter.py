"""Measure videos while they pass: a window of frames in memory, a few numbers per frame kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deflicker.metrics.align import to_ycc
from deflicker.metrics.drift import Drift
from deflicker.metrics.guardrails import exposure_change
from deflicker.metrics.lpips import Perceptual
from deflicker.metrics.per_frame import CONTEXT, FIELDS, LAGS, measure_window
from deflicker.metrics.variance import PixelVariance
from deflicker.metrics.vbench import top_motion
from deflicker.metrics.warp_error import ewarp_l1_to
from deflicker.motion.correspondence import build_matches
from deflicker.motion.warp import compose, visibility, warp

_CORE = 8
"""Frames measured at once."""
_OWN = ("ewarp_l1_first", "lpips_next", "lpips_moved")
_SHARED = ("exposure", "lpips_input", "top_motion", "motion")
NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Seen:
    """One picture of the videos measured, all showing the same motion."""

    frame: int
    """Its number in the video."""
    sides: Tensor
    """`[S, 3, H, W]` R'G'B' in [0, 1]: S versions of it, the original first."""
    opens_shot: bool
    forward_px: Tensor | None
    """`[2, H, W]`: flow from the picture before to this one; None where it opens a shot."""
    backward_px: Tensor | None


@dataclass(frozen=True, eq=False)
class Readings:
    """All numbers of a video, on the CPU."""

    frames: tuple[int, ...]
    """Number of each picture measured; frames that repeat a picture are left out."""
    opens: tuple[int, ...]
    """Places of the pictures that open a shot."""
    held: int
    """Frames left out."""
    series: dict[str, Tensor]
    """`[S, N]` per name: `window.FIELDS`, and `ewarp_l1_first`, `lpips_next`, `lpips_moved`."""
    shared: dict[str, Tensor]
    """`[N]` per name: `exposure` (stops), `lpips_input`, `top_motion` and `motion` (pixels)."""
    variance: Tensor
    """`[S]`: σ² at fixed pixels, mean over pixels and, by their length, over shots; squared code values of 255."""
    drift_lags: Tensor
    """`[K]` in frames."""
    drift: Tensor
    """`[S, K]`: mean LPIPS(I_t, I_{t+k}); NaN where no shot is as long, or LPIPS is not to be had."""


class Meter:
    """Takes pictures in order; `finish` gives the readings."""

    def __init__(self, sides: int, perceptual: Perceptual | None = None) -> None:
        self._sides, self._perceptual = sides, perceptual
        self._frames: list[int] = []
        self._opens: list[int] = []
        self._held = 0
        self._rows: list[Tensor] = []
        self._shared: list[Tensor] = []
        self._drift = Drift(sides)
        self._variance = torch.zeros(sides)
        self._varied = 0
        self._start()

    def _start(self) -> None:
        """Forget everything of the shot before."""
        self._waiting: list[Seen] = []
        self._done = 0  # of those waiting, how many are measured already and serve as context
        self._first: Tensor | None = None
        self._to_first: tuple[Tensor, Tensor] | None = None
        self._pixels = PixelVariance()
        self._features: list[Tensor] | None = None

    def hold(self) -> None:
        """Take note of a frame that repeats the picture before it."""
        self._held += 1

    @torch.no_grad()
    def add(self, seen: Seen) -> None:
        if seen.opens_shot or not self._frames or seen.forward_px is None:
            self._end_shot()
            self._opens.append(len(self._frames))
        self._frames.append(seen.frame)
        self._waiting.append(seen)
        if len(self._waiting) - self._done == _CORE + CONTEXT:
            self._measure(_CORE)

    @torch.no_grad()
    def finish(self) -> Readings:
        """All readings; nothing may be added after it."""
        self._end_shot()
        names = (*FIELDS, *_OWN)
        rows = torch.cat(self._rows, 1) if self._rows else torch.zeros(self._sides, 0, len(names))
        shared = torch.cat(self._shared) if self._shared else torch.zeros(0, len(_SHARED))
        return Readings(
            frames=tuple(self._frames),
            opens=tuple(self._opens),
            held=self._held,
            series=dict(zip(names, rows.unbind(2), strict=True)),
            shared=dict(zip(_SHARED, shared.unbind(1), strict=True)),
            variance=self._variance / self._varied if self._varied else torch.full((self._sides,), NAN),
            drift_lags=self._drift.lags,
            drift=self._drift.means(),
        )

    def _end_shot(self) -> None:
        if len(self._waiting) > self._done:
            self._measure(len(self._waiting) - self._done)
        if (spread := self._pixels.value()) is not None:
            self._variance += self._pixels.frames * spread.mean((1, 2)).cpu()
            self._varied += self._pixels.frames
        self._drift.end_shot()
        self._start()

    def _measure(self, count: int) -> None:
        """Measure the next `count` of the waiting pictures, and keep what the ones after them need."""
        first, last = self._done, self._done + count
        sides = torch.stack([seen.sides for seen in self._waiting], 1)
        linked = [(s.forward_px, s.backward_px) for s in self._waiting[1:]]
        none = sides.new_zeros(0, 2, *sides.shape[-2:])
        forward = torch.stack([f for f, _ in linked if f is not None]) if linked else none
        backward = torch.stack([b for _, b in linked if b is not None]) if linked else none
        matches = build_matches(forward, backward, LAGS)
        rows = measure_window(sides, matches, first, last)
        own = torch.stack([self._follow(at, sides, forward, backward) for at in range(first, last)], 1)
        looks, to_input = self._look(sides, forward, first, last)
        self._rows.append(torch.cat([rows, own[..., None], looks], 2).cpu())
        exposure = exposure_change(sides[0, first:last], sides[-1, first:last])
        motion = sides.new_full((2, count), NAN)
        if len(ahead := forward[first:last]):
            motion[0, : len(ahead)] = top_motion(ahead)
            motion[1, : len(ahead)] = ahead.square().sum(1).sqrt().mean((1, 2))
        self._shared.append(torch.stack([exposure, to_input, *motion], 1).cpu())
        kept = max(0, last - CONTEXT)
        self._waiting, self._done = self._waiting[kept:], last - kept

    def _follow(self, at: int, sides: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        """`ewarp_l1` of one picture to the first of its shot, `[S]`."""
        picture = sides[:, at]
        self._pixels.add(to_ycc(picture)[:, 0])
        if self._first is None:
            self._first = picture
            return picture.new_full((self._sides,), NAN)
        back, ahead = backward[at - 1 : at], forward[at - 1 : at]
        seen = visibility(back, ahead)
        self._to_first = (back, seen) if self._to_first is None else compose(back, seen, *self._to_first)
        return ewarp_l1_to(self._first, picture, *self._to_first)

    def _look(self, sides: Tensor, forward: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        """LPIPS to the next picture, plain and along motion, `[S, n, 2]`, and of the last side to the first, `[n]`."""
        looks = sides.new_full((self._sides, last - first, 2), NAN)
        to_input = sides.new_full((last - first,), NAN)
        network = self._perceptual
        if network is None:
            return looks, to_input
        for at in range(first, last):
            features = self._features or network.features(sides[:, at])
            self._drift.add(features, network.distance)
            if self._sides > 1:
                to_input[at - first] = network.distance([f[:1] for f in features], [f[-1:] for f in features])[0]
            if at + 1 == sides.shape[1]:
                self._features = None
                break
            self._features = network.features(sides[:, at + 1])
            looks[:, at - first, 0] = network.distance(features, self._features)
            flow = forward[at : at + 1].expand(self._sides, -1, -1, -1)
            seen = self._visible(forward, at)
            moved = warp(sides[:, at + 1], flow) * seen + sides[:, at] * (1 - seen)
            looks[:, at - first, 1] = network.distance(features, network.features(moved))
        return looks, to_input

    def _visible(self, forward: Tensor, at: int) -> Tensor:
        backward = self._waiting[at + 1].backward_px
        return visibility(forward[at : at + 1], backward[None]) if backward is not None else forward.new_zeros(1)

"""Measures videos in one pass: holds a window of frames in memory and stores a few numbers per frame."""

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
class MeasuredPicture:
    """One frame of the videos to measure, which all show the same motion."""

    frame: int
    """Its number in the video."""
    sides: Tensor
    """`[S, 3, H, W]` R'G'B' in [0, 1]: S versions of the frame, the original first."""
    starts_shot: bool
    forward_px: Tensor | None
    """`[2, H, W]`: flow from the previous picture to this one; None where it starts a shot."""
    backward_px: Tensor | None


@dataclass(frozen=True, eq=False)
class FrameSeries:
    """All numbers measured on a video, on the CPU."""

    frames: tuple[int, ...]
    """Number of each frame measured; duplicates are skipped."""
    shot_starts: tuple[int, ...]
    """Indices into `frames` at which a shot starts."""
    duplicates: int
    """Number of frames skipped."""
    series: dict[str, Tensor]
    """`[S, N]` per name: `per_frame.FIELDS`, and `ewarp_l1_first`, `lpips_next`, `lpips_moved`."""
    shared: dict[str, Tensor]
    """`[N]` per name: `exposure` (stops), `lpips_input`, `top_motion` and `motion` (pixels)."""
    variance: Tensor
    """`[S]`: σ² at fixed pixels, mean over pixels and, weighted by length, over shots; squared code values of 255."""
    drift_lags: Tensor
    """`[K]` in frames."""
    drift: Tensor
    """`[S, K]`: mean LPIPS(I_t, I_{t+k}); NaN where no shot is that long, or LPIPS is not available."""


class VideoMeter:
    """Measures pictures given in order; `finish` returns the numbers."""

    def __init__(self, sides: int, perceptual: Perceptual | None = None) -> None:
        self._sides, self._perceptual = sides, perceptual
        self._frames: list[int] = []
        self._shot_starts: list[int] = []
        self._duplicates = 0
        self._rows: list[Tensor] = []
        self._shared: list[Tensor] = []
        self._drift = Drift(sides)
        self._variance = torch.zeros(sides)
        self._variance_frames = 0
        self._start_shot()

    def _start_shot(self) -> None:
        """Reset the state of the previous shot."""
        self._window: list[MeasuredPicture] = []
        self._done = 0  # pictures of the window that are measured already and serve as context
        self._first: Tensor | None = None
        self._to_first: tuple[Tensor, Tensor] | None = None
        self._pixels = PixelVariance()
        self._features: list[Tensor] | None = None

    def skip_duplicate(self) -> None:
        """Count a frame that is not measured, because it repeats the previous picture or is left uncorrected."""
        self._duplicates += 1

    @torch.no_grad()
    def add(self, picture: MeasuredPicture) -> None:
        """Measure the next picture, once its context is complete."""
        if picture.starts_shot or not self._frames or picture.forward_px is None:
            self._end_shot()
            self._shot_starts.append(len(self._frames))
        self._frames.append(picture.frame)
        self._window.append(picture)
        if len(self._window) - self._done == _CORE + CONTEXT:
            self._measure(_CORE)

    @torch.no_grad()
    def finish(self) -> FrameSeries:
        """All numbers; nothing may be added afterwards."""
        self._end_shot()
        names = (*FIELDS, *_OWN)
        rows = torch.cat(self._rows, 1) if self._rows else torch.zeros(self._sides, 0, len(names))
        shared = torch.cat(self._shared) if self._shared else torch.zeros(0, len(_SHARED))
        return FrameSeries(
            frames=tuple(self._frames),
            shot_starts=tuple(self._shot_starts),
            duplicates=self._duplicates,
            series=dict(zip(names, rows.unbind(2), strict=True)),
            shared=dict(zip(_SHARED, shared.unbind(1), strict=True)),
            variance=self._variance / self._variance_frames
            if self._variance_frames
            else torch.full((self._sides,), NAN),
            drift_lags=self._drift.lags,
            drift=self._drift.means(),
        )

    def _end_shot(self) -> None:
        if len(self._window) > self._done:
            self._measure(len(self._window) - self._done)
        if (variance := self._pixels.value()) is not None:
            self._variance += self._pixels.frames * variance.mean((1, 2)).cpu()
            self._variance_frames += self._pixels.frames
        self._drift.end_shot()
        self._start_shot()

    def _measure(self, count: int) -> None:
        """Measure the next `count` pictures of the window, and keep the context of those after them."""
        first, last = self._done, self._done + count
        sides = torch.stack([picture.sides for picture in self._window], 1)
        linked = [(s.forward_px, s.backward_px) for s in self._window[1:]]
        none = sides.new_zeros(0, 2, *sides.shape[-2:])
        forward = torch.stack([f for f, _ in linked if f is not None]) if linked else none
        backward = torch.stack([b for _, b in linked if b is not None]) if linked else none
        matches = build_matches(forward, backward, LAGS)
        rows = measure_window(sides, matches, first, last)
        own = torch.stack([self._error_to_first(at, sides, forward, backward) for at in range(first, last)], 1)
        lpips, to_input = self._lpips(sides, forward, first, last)
        self._rows.append(torch.cat([rows, own[..., None], lpips], 2).cpu())
        exposure = exposure_change(sides[0, first:last], sides[-1, first:last])
        motion = sides.new_full((2, count), NAN)
        if len(ahead := forward[first:last]):
            motion[0, : len(ahead)] = top_motion(ahead)
            motion[1, : len(ahead)] = ahead.square().sum(1).sqrt().mean((1, 2))
        self._shared.append(torch.stack([exposure, to_input, *motion], 1).cpu())
        context = max(0, last - CONTEXT)
        self._window, self._done = self._window[context:], last - context

    def _error_to_first(self, at: int, sides: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        """`ewarp_l1` of one picture against the first of its shot, `[S]`."""
        picture = sides[:, at]
        self._pixels.add(to_ycc(picture)[:, 0])
        if self._first is None:
            self._first = picture
            return picture.new_full((self._sides,), NAN)
        back, ahead = backward[at - 1 : at], forward[at - 1 : at]
        visible = visibility(back, ahead)
        self._to_first = (back, visible) if self._to_first is None else compose(back, visible, *self._to_first)
        return ewarp_l1_to(self._first, picture, *self._to_first)

    def _lpips(self, sides: Tensor, forward: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        """LPIPS to the next picture, plain and along motion, `[S, n, 2]`, and of the last side to the first, `[n]`."""
        distances = sides.new_full((self._sides, last - first, 2), NAN)
        to_input = sides.new_full((last - first,), NAN)
        network = self._perceptual
        if network is None:
            return distances, to_input
        for at in range(first, last):
            features = self._features or network.features(sides[:, at])
            self._drift.add(features, network.distance)
            if self._sides > 1:
                to_input[at - first] = network.distance([f[:1] for f in features], [f[-1:] for f in features])[0]
            if at + 1 == sides.shape[1]:
                self._features = None
                break
            self._features = network.features(sides[:, at + 1])
            distances[:, at - first, 0] = network.distance(features, self._features)
            flow = forward[at : at + 1].expand(self._sides, -1, -1, -1)
            visible = self._visible(forward, at)
            moved = warp(sides[:, at + 1], flow) * visible + sides[:, at] * (1 - visible)
            distances[:, at - first, 1] = network.distance(features, network.features(moved))
        return distances, to_input

    def _visible(self, forward: Tensor, at: int) -> Tensor:
        backward = self._window[at + 1].backward_px
        return visibility(forward[at : at + 1], backward[None]) if backward is not None else forward.new_zeros(1)

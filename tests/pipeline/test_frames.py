"""`deflicker_frames()`: arrays and tensors of every kind, lazily, with nothing of a clip kept."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deflicker import Settings, deflicker_frames
from deflicker.core.memory import OVERLAY_REACH
from deflicker.core.presets import PRESETS
from deflicker.pipeline.run_context import Models
from tests.assets import drifting
from tests.correction.scenes import texture
from tests.fakes import NoModels, Still

FAST = Settings(preset="fast", device="cpu", precision="fp32")
STILL = Models(flow=Still())
KINDS: dict[str, Callable[[Any], Any]] = {
    "uint8": lambda picture: (picture * 255).round().astype(np.uint8),
    "uint16": lambda picture: (picture * 65535).round().astype(np.uint16),
    "float32": lambda picture: picture.astype(np.float32),
    "float64": lambda picture: picture,
    "rgba": lambda picture: np.dstack([(picture * 255).astype(np.uint8), np.full(picture.shape[:2], 77, np.uint8)]),
    "torch": lambda picture: torch.from_numpy(picture).permute(2, 0, 1).float(),
    "torch half": lambda picture: torch.from_numpy(picture).permute(2, 0, 1).half(),
    "torch rgba": lambda picture: torch.cat([torch.from_numpy(picture).permute(2, 0, 1), torch.full((1, 64, 96), 0.3)]),
}

pytestmark = pytest.mark.usefixtures("raft")


def unit(frame: Any) -> Any:
    """Any kind as float64 `[H, W, 3]` in [0, 1]."""
    if isinstance(frame, torch.Tensor):
        return frame[:3].permute(1, 2, 0).double().numpy()
    top = np.iinfo(frame.dtype).max if frame.dtype.kind == "u" else 1
    return frame[..., :3].astype(np.float64) / top


def shaking(frames: list[Any]) -> float:
    return float(np.sqrt(np.mean(np.diff([unit(frame).mean() for frame in frames], 2) ** 2)))


def copy(frame: Any) -> Any:
    return frame.clone() if isinstance(frame, torch.Tensor) else frame.copy()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_kind_comes_back_steady(kind: str) -> None:
    frames = [KINDS[kind](picture) for picture in drifting(14)]
    kept = [copy(frame) for frame in frames]
    steady = list(deflicker_frames(iter(frames), fps=24, settings=FAST))
    assert len(steady) == len(frames)
    for before, after in zip(frames, steady, strict=True):
        assert (type(after), after.dtype, after.shape) == (type(before), before.dtype, before.shape)
    assert shaking(steady) < 0.3 * shaking(frames)
    assert all((before == after).all() for before, after in zip(frames, kept, strict=True))  # nothing was written to
    if "rgba" in kind:
        last = (lambda frame: frame[3]) if "torch" in kind else (lambda frame: frame[..., 3])
        assert all((last(a) == last(b)).all() for a, b in zip(frames, steady, strict=True))


def test_every_kind_gets_the_same_correction() -> None:
    pictures = drifting(8)
    results = {}
    for kind in ("uint8", "uint16", "float32", "torch"):
        results[kind] = [unit(f) for f in deflicker_frames([KINDS[kind](p) for p in pictures], settings=FAST)]
    for kind, tolerance in (("uint16", 0.001), ("float32", 0.001), ("uint8", 0.01)):
        worst = max(abs(a - b).max() for a, b in zip(results[kind], results["torch"], strict=True))
        assert worst < tolerance, kind


@pytest.mark.parametrize("kind", ["uint8", "torch"])
def test_steady_frames_come_back_as_they_are(kind: str) -> None:
    frames = [KINDS[kind](picture) for picture in drifting(20, flicker=0)]
    for before, after in zip(frames, deflicker_frames(frames, settings=FAST), strict=True):
        assert before is after


def test_frames_are_taken_lazily_and_let_go() -> None:
    pictures = drifting(120, 48, 32)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = taken = 0

    def source() -> Iterator[Any]:
        nonlocal taken
        for picture in pictures:
            frame = KINDS["torch"](picture)
            alive.add(frame)
            taken += 1
            yield frame
            del frame

    stream = deflicker_frames(source(), settings=FAST, models=STILL)
    assert taken == 0
    bound = PRESETS["fast"].window_frames + 8 + 2 * OVERLAY_REACH
    for given, _ in enumerate(stream, 1):
        assert taken - given <= bound
        most = max(most, len(alive))
    assert given == taken == 120
    assert most <= bound + 2


def test_a_stream_can_be_left_early() -> None:
    pictures = (KINDS["uint8"](picture) for picture in drifting(200, 32, 32))
    stream = deflicker_frames(pictures, settings=FAST, models=STILL)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("deflicker")]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_short_streams(count: int) -> None:
    frames = [KINDS["uint8"](picture) for picture in drifting(3)][:count]
    assert [id(frame) for frame in deflicker_frames(frames, settings=FAST)] == [id(frame) for frame in frames]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (33, 7)])
def test_small_frames(size: tuple[int, int]) -> None:
    frames = [KINDS["uint8"](picture) for picture in drifting(6, *size)]
    assert [frame.shape for frame in deflicker_frames(frames, settings=FAST)] == [frame.shape for frame in frames]


def test_views_and_gradients_are_fine() -> None:
    wide = [np.repeat(KINDS["uint8"](picture), 2, axis=1)[:, ::2][::-1] for picture in drifting(8)]
    assert len(list(deflicker_frames(wide, settings=FAST))) == 8
    tracked = [KINDS["torch"](picture).requires_grad_() for picture in drifting(8)]
    assert len(list(deflicker_frames(tracked, settings=FAST))) == 8


def test_strength_0_gives_everything_back_without_weights() -> None:
    frames = [KINDS["uint8"](picture) for picture in drifting(5)]
    found = deflicker_frames(frames, settings=Settings(strength=0), models=NoModels())  # type: ignore[arg-type]
    assert [id(frame) for frame in found] == [id(frame) for frame in frames]


SMALL = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (np.zeros((8, 9, 3), np.uint8), r"frame 1 is numpy \[8, 9, 3\] uint8, but the first was numpy \[8, 8, 3\]"),
        (np.zeros((8, 8, 3), np.uint16), "frame 1 is numpy"),
        (torch.zeros(3, 8, 8), "frame 1 is torch"),
        (np.zeros((8, 8), np.uint8), r"frame 1 is numpy \[8, 8\]"),
        (np.zeros((8, 8, 3), np.int32), "int32"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(8, 8, 3), r"torch \[8, 8, 3\]"),
        ([[1, 2, 3]], "a list"),
    ],
)
@pytest.mark.parametrize("strength", [0, 1])
def test_what_does_not_fit_is_a_clear_error(other: Any, words: str, strength: float) -> None:
    with pytest.raises(ValueError, match=words):
        list(deflicker_frames([SMALL, other], settings=Settings(preset="fast", strength=strength)))


def test_a_frame_rate_must_be_one() -> None:
    with pytest.raises(ValueError, match="fps = 0"):
        deflicker_frames([SMALL], fps=0)


def lingering(frames: int, height: int = 144, width: int = 208) -> torch.Tensor:
    """A pan by (2, 1) px a frame over texture that is drawn anew from what it was: an AR(1) process in each point."""
    wide = texture(height + frames, width + 2 * frames, 3, low=0.3, high=0.7)
    cells = (height + frames) // 3 + 1, (width + 2 * frames) // 3 + 1
    noise = torch.randn(frames + 20, 1, *cells, generator=torch.Generator().manual_seed(2))
    soft = F.interpolate(noise, scale_factor=3.0, mode="bicubic")[..., : height + frames, : width + 2 * frames]
    soft = soft - F.avg_pool2d(soft, 17, 1, 8)
    state, shown = torch.zeros_like(soft[0]), []
    for number, drawn in enumerate(soft / soft.std()):
        state, at = 0.8 * state + 0.6 * drawn, number - 20
        if at >= 0:
            shown.append((wide + 0.03 * state)[:, at : at + height, 2 * at : 2 * at + width])
    return torch.stack(shown).clamp(0, 1)


@pytest.mark.slow
def test_texture_that_boils_with_a_memory_is_locked() -> None:
    """Through RAFT and all: what changes along the motion falls by a quarter at least, and nothing is blurred."""

    def change(clip: torch.Tensor) -> float:
        return float((clip[1:, :, :-1, :-2] - clip[:-1, :, 1:, 2:]).square().mean().sqrt())

    def sharpness(clip: torch.Tensor) -> float:
        return float(clip.diff(dim=-1).square().mean())

    frames = lingering(18)
    quality = Settings(preset="quality", device="cpu", precision="fp32")
    locked, left = (
        torch.stack(list(deflicker_frames(frames, settings=quality, models=models)))
        for models in (Models(), Models(adjust=lambda run: replace(run, locking=False)))
    )
    assert change(left) > 0.95 * change(frames)
    assert change(locked) < 0.75 * change(frames)
    assert 0.93 < sharpness(locked) / sharpness(frames) < 1.1

"""Frames that never were a file: a stream of arrays or tensors in, the same kind out, a window in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from threading import Event
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from deflicker.core.errors import Cancelled, SettingsError
from deflicker.core.settings import Settings
from deflicker.core.values import Span
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.observers import OnWindow, WindowReporter
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.source_pictures import SourcePicture, picture_of
from deflicker.pipeline.stages import local_corrections
from deflicker.report.observer import Observer

FrameT = TypeVar("FrameT", bound="np.ndarray[Any, Any] | Tensor | Image.Image")


def deflicker_frames(
    frames: Iterable[FrameT],
    fps: float = 24,
    settings: Settings = Settings(),
    *,
    on_window: OnWindow | None = None,
    cancel: Event | None = None,
    models: Models | None = None,
) -> Iterator[FrameT]:
    """Yield every frame of a stream once, in order, without its flicker.

    `frames`: all numpy `[H, W, 3]`, uint8, uint16 or float in [0, 1], or all torch `[3, H, W]` float in [0, 1], or all
    PIL images of mode RGB or RGBA; a fourth channel is taken for alpha and kept. The same kind, dtype and device comes
    back. A frame that needs no correction comes back as the same object; no frame is written to, and none may be
    changed by the caller while it is inside.

    `fps`: frames a second, for times in `settings.exclude`. Nothing else depends on it: flicker is judged from frame to
    frame, at any rate.

    `on_window` is told what each window of frames came to; once `cancel` is set (by any thread), the next frame raises
    Cancelled; `models`: networks loaded before, to be used again, which `Deflicker` sees to.

    Runs at most a window ahead of what it yields, so memory does not grow with the stream. Raises ValueError where a
    frame is of another kind or size than the first; DeviceError, WeightsError and SettingsError at the first frame.
    """
    if not fps > 0:
        raise ValueError(f"frames a second must be more than 0: {fps = }")
    if settings.resume:
        raise SettingsError("a stream of frames has no file to save progress next to: leave out resume")
    alike = _alike(frames, cancel)
    return alike if settings.strength == 0 else _corrected(alike, fps, settings, on_window, models)


def _alike(frames: Iterable[FrameT], cancel: Event | None) -> Iterator[FrameT]:
    """The frames, each checked against the first."""
    first: tuple[Any, ...] | None = None
    for number, frame in enumerate(frames):
        if cancel is not None and cancel.is_set():
            raise Cancelled("stopped on request")
        found = _describe(frame, number)
        first = first or found
        if found != first:
            raise ValueError(f"frame {number} is {_words(found)}, but the first was {_words(first)}")
        yield frame


def _describe(frame: Any, number: int) -> tuple[Any, ...]:
    if isinstance(frame, np.ndarray):
        known = frame.dtype in (np.uint8, np.uint16) or np.issubdtype(frame.dtype, np.floating)
        channels = frame.shape[-1] if frame.ndim == 3 else 0
    elif isinstance(frame, Tensor):
        known, channels = frame.is_floating_point(), frame.shape[0] if frame.ndim == 3 else 0
    elif isinstance(frame, Image.Image):
        if frame.mode not in ("RGB", "RGBA") or 0 in frame.size:
            raise ValueError(f"frame {number} is an image of mode {frame.mode}: give RGB or RGBA (image.convert)")
        return Image.Image, (*frame.size, len(frame.mode)), frame.mode, None
    else:
        raise ValueError(f"frame {number} is a {type(frame).__name__}: give numpy arrays, torch tensors or PIL images")
    found = type(frame), tuple(frame.shape), frame.dtype, getattr(frame, "device", None)
    if not known or channels not in (3, 4) or 0 in frame.shape:
        raise ValueError(
            f"frame {number} is {_words(found)}: give numpy [H, W, 3] uint8, uint16 or float, or torch [3, H, W] float"
        )
    return found


def _words(found: tuple[Any, ...]) -> str:
    kind, shape, dtype, device = found
    if kind is Image.Image:
        return f"an image of {shape[0]}x{shape[1]} {dtype}"
    place = f" on {device}" if kind is not np.ndarray else ""
    return f"{'numpy' if kind is np.ndarray else 'torch'} {list(shape)} {dtype}{place}"


def _corrected(
    frames: Iterator[FrameT], fps: float, settings: Settings, on_window: OnWindow | None, models: Models | None
) -> Iterator[FrameT]:
    first = next(frames, None)
    if first is None:
        return
    check_guide(settings)
    run = Run.prepare(_size_of(first), settings, models, lambda _: None)
    windows = WindowReporter(on_window) if on_window else Observer()
    pictures = (
        picture_of(frame, number, excluded=any(_holds(span, number, fps) for span in settings.exclude))
        for number, frame in enumerate(chain([first], frames))
    )
    with closing(local_corrections(pictures, run, threads=False)) as decided:
        for record in decided:
            windows.on_decided(record)
            assert isinstance(record.picture, SourcePicture)
            yield record.picture.corrected(record.correction and record.correction.scaled(settings.strength))
    windows.on_end()


def _size_of(frame: Any) -> VideoSize:
    if isinstance(frame, Image.Image):
        return VideoSize(frame.height, frame.width, frame.width * frame.height * len(frame.mode))
    return VideoSize(*picture_of(frame, 0, excluded=False).size, int(frame.nbytes))


def _holds(span: Span, number: int, fps: float) -> bool:
    return span.holds(number, Fraction(number) / Fraction(fps))

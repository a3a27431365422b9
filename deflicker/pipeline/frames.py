"""Frames that never were a file: a stream of arrays or tensors in, the same kind out, a window in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from threading import Event
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deflicker.core.errors import Cancelled, SettingsError
from deflicker.core.settings import Settings
from deflicker.correction.apply import Correction, relit, texture_size, toned_colours, toned_luma
from deflicker.media.color import proxy_of, proxy_size, resize
from deflicker.media.frame import Frame, PlaneLayout
from deflicker.motion.tracking import Given
from deflicker.pipeline.engine import Engine, Networks
from deflicker.pipeline.guide import check_guide
from deflicker.pipeline.stages import decide, renewal_of
from deflicker.pipeline.window_reports import OnWindow, watched

FrameT = TypeVar("FrameT", bound="np.ndarray[Any, Any] | Tensor | Image.Image")


def deflicker_frames(
    frames: Iterable[FrameT],
    fps: float = 24,
    settings: Settings = Settings(),
    *,
    on_window: OnWindow | None = None,
    cancel: Event | None = None,
    networks: Networks | None = None,
) -> Iterator[FrameT]:
    """Yield every frame of a stream once, in order, without its flicker.

    `frames`: all numpy `[H, W, 3]`, uint8, uint16 or float in [0, 1], or all torch `[3, H, W]` float in [0, 1], or all
    PIL images of mode RGB or RGBA; a fourth channel is taken for alpha and kept. The same kind, dtype and device comes
    back. A frame that needs no correction comes back as the same object; no frame is written to, and none may be
    changed by the caller while it is inside.

    `fps`: frames a second, for times in `settings.exclude`. Nothing else depends on it: flicker is judged from frame to
    frame, at any rate.

    `on_window` is told what each window of frames came to; once `cancel` is set (by any thread), the next frame raises
    Cancelled; `networks`: loaded before and to be used again, which `Deflicker` sees to.

    Runs at most a window ahead of what it yields, so memory does not grow with the stream. Raises ValueError where a
    frame is of another kind or size than the first; DeviceError, WeightsError and SettingsError at the first frame.
    """
    if not fps > 0:
        raise ValueError(f"frames a second must be more than 0: {fps = }")
    if settings.resume:
        raise SettingsError("frames that come as a stream have no file to keep progress beside: leave out resume")
    alike = _alike(frames, cancel)
    return alike if settings.strength == 0 else _corrected(alike, fps, settings, on_window, networks)


def _alike(frames: Iterable[FrameT], cancel: Event | None) -> Iterator[FrameT]:
    """The frames, each checked against the first."""
    first: tuple[Any, ...] | None = None
    for number, frame in enumerate(frames):
        if cancel is not None and cancel.is_set():
            raise Cancelled("stopped, as asked")
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
    frames: Iterator[FrameT], fps: float, settings: Settings, on_window: OnWindow | None, networks: Networks | None
) -> Iterator[FrameT]:
    first = next(frames, None)
    if first is None:
        return
    codec = _codec(first)
    height, width = codec.size(first)
    check_guide(settings)
    engine = Engine.load(width, height, codec.bytes(first), settings, lambda _: None, networks)
    small = proxy_size(height, width, engine.preset.flow_max_side_px)
    device = engine.device.torch_device

    def proxies() -> Iterator[Given[FrameT]]:
        for number, frame in enumerate(chain([first], frames)):
            proxy = codec.proxy(frame, small, device)
            excluded = any(span.holds(number, Fraction(number) / Fraction(fps)) for span in settings.exclude)
            yield Given(frame, proxy, proxy, "excluded" if excluded else None)

    def luma(frame: FrameT, correction: Correction | None) -> Tensor:
        return codec.luma(frame, correction, texture, device)

    def colours(frame: FrameT, correction: Correction | None) -> Tensor:
        return toned_colours(codec.proxy(frame, texture, device), correction)

    texture = texture_size(height, width, engine.preset.texture_max_side_px)
    renewal = renewal_of(engine.codec, settings)
    decisions = decide(proxies(), luma, engine, settings, size=small, colours_of=colours, renewal=renewal)
    for decided in watched(decisions, on_window):
        correction = decided.correction
        yield codec.relit(decided.item, correction.scaled(settings.strength)) if correction else decided.item


class _Codec(Protocol):
    """One kind of frames."""

    def size(self, frame: Any) -> tuple[int, int]:
        """Height and width."""

    def bytes(self, frame: Any) -> int:
        """Memory that a frame takes."""

    def proxy(self, frame: Any, size: tuple[int, int], device: torch.device) -> Tensor:
        """The small copy `[3, h, w]` in [0, 1]."""

    def luma(self, frame: Any, correction: Correction | None, size: tuple[int, int], device: torch.device) -> Tensor:
        """Luma `[h, w]` in [0, 1] with a correction applied, for looking at texture."""

    def relit(self, frame: Any, correction: Correction) -> Any:
        """A corrected copy."""


def _codec(frame: Any) -> _Codec:
    if isinstance(frame, Tensor):
        return _Tensors()
    if isinstance(frame, Image.Image):
        return _Pictures(PlaneLayout("rgb", 8, True, "bt709", (0, 0), frame.mode == "RGBA"))
    if np.issubdtype(frame.dtype, np.floating):
        return _FloatArrays()
    return _Codes(PlaneLayout("rgb", 8 * frame.dtype.itemsize, True, "bt709", (0, 0), frame.shape[-1] == 4))


class _Sized:
    """Arrays and tensors know what they take."""

    def bytes(self, frame: Any) -> int:
        return int(frame.nbytes)


class _Tensors(_Sized):
    """torch `[3, H, W]` float."""

    def size(self, frame: Tensor) -> tuple[int, int]:
        return frame.shape[-2], frame.shape[-1]

    def proxy(self, frame: Tensor, size: tuple[int, int], device: torch.device) -> Tensor:
        colours = frame.detach()[:3].to(device, torch.float32)
        return torch.stack([resize(plane, size) for plane in colours]).clamp(0, 1)

    def luma(self, frame: Tensor, correction: Correction | None, size: tuple[int, int], device: torch.device) -> Tensor:
        return toned_luma(self.proxy(frame, size, device), correction)

    def relit(self, frame: Tensor, correction: Correction) -> Tensor:
        colours = frame.detach()[:3].to(correction.log_gain.device, torch.float32)
        changed = correction.applied(colours)
        return torch.cat([changed.to(frame), frame.detach()[3:]])


class _FloatArrays(_Sized):
    """numpy `[H, W, 3]` float."""

    def size(self, frame: Any) -> tuple[int, int]:
        return frame.shape[0], frame.shape[1]

    def proxy(self, frame: Any, size: tuple[int, int], device: torch.device) -> Tensor:
        return _Tensors().proxy(self._tensor(frame), size, device)

    def luma(self, frame: Any, correction: Correction | None, size: tuple[int, int], device: torch.device) -> Tensor:
        return _Tensors().luma(self._tensor(frame), correction, size, device)

    def relit(self, frame: Any, correction: Correction) -> Any:
        changed = _Tensors().relit(self._tensor(frame), correction).permute(1, 2, 0)
        return np.ascontiguousarray(changed.cpu().numpy().astype(frame.dtype, copy=False))

    def _tensor(self, frame: Any) -> Tensor:
        return torch.from_numpy(np.moveaxis(frame, -1, 0).astype(np.float32, order="C"))


class _Codes(_Sized):
    """numpy `[H, W, 3]` of integers: the same arithmetic as for a decoded R'G'B' video."""

    def __init__(self, layout: PlaneLayout) -> None:
        self._layout = layout

    def size(self, frame: Any) -> tuple[int, int]:
        return frame.shape[0], frame.shape[1]

    def proxy(self, frame: Any, size: tuple[int, int], device: torch.device) -> Tensor:
        return proxy_of(self._frame(frame), self._layout, size, device)

    def luma(self, frame: Any, correction: Correction | None, size: tuple[int, int], device: torch.device) -> Tensor:
        return toned_luma(self.proxy(frame, size, device), correction)

    def relit(self, frame: Any, correction: Correction) -> Any:
        green, blue, red, *alpha = relit(self._frame(frame), self._layout, correction).planes
        return np.stack([red, green, blue, *alpha], axis=-1)

    def _frame(self, frame: Any) -> Frame:
        red, green, blue, *alpha = (np.ascontiguousarray(frame[..., k]) for k in range(frame.shape[-1]))
        return Frame(0, 0, Fraction(1), (green, blue, red, *alpha))


class _Pictures(_Codes):
    """PIL images of 8 bits, seen as arrays."""

    def size(self, frame: Any) -> tuple[int, int]:
        return frame.height, frame.width

    def bytes(self, frame: Any) -> int:
        return int(frame.width * frame.height * len(frame.mode))

    def relit(self, frame: Any, correction: Correction) -> Any:
        return Image.fromarray(super().relit(np.asarray(frame), correction))

    def _frame(self, frame: Any) -> Frame:
        return super()._frame(np.asarray(frame))

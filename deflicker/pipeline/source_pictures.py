"""Frames of every kind, decoded from a file or given by the caller, with the two things asked of them: their R'G'B' at
a size, and themselves corrected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deflicker.core.blocks import Indexed
from deflicker.core.oom import OomFallback, moved
from deflicker.correction.apply import Correction, relit
from deflicker.media.color import as_tensors, normalise, resize, to_rgb
from deflicker.media.frame import Frame, PlaneLayout


@dataclass(frozen=True, eq=False)
class SourcePicture(Indexed, ABC):
    """A frame on its way through the stages."""

    index: int
    """0 for the first frame of the output."""
    excluded: bool
    """The user wants it left as it is."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Height and width."""

    @abstractmethod
    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """R'G'B' `[3, h, w]` at a size (height, width), in [0, 1] but for headroom."""

    @abstractmethod
    def corrected(self, correction: Correction | None) -> Any:
        """The frame with a correction applied, of its own kind: the same object where none is given."""


@dataclass(frozen=True, eq=False)
class DecodedPicture(SourcePicture):
    """A decoded frame."""

    frame: Frame
    layout: PlaneLayout
    fallback: OomFallback | None = None
    """What to do where the GPU has no memory left to apply a correction."""

    @classmethod
    def of(cls, frame: Frame, layout: PlaneLayout, fallback: OomFallback | None = None) -> DecodedPicture:
        """A frame as the reader gives it."""
        return cls(frame.index, frame.excluded, frame, layout, fallback)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.frame.planes[0].shape
        return height, width

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        planes = normalise(as_tensors(self.frame.planes, self.layout, device), self.layout)
        return to_rgb(planes, self.layout, size)

    def corrected(self, correction: Correction | None) -> Frame:
        """The frame itself where no correction reaches a sample."""
        if self.fallback is None:
            return relit(self.frame, self.layout, correction)
        return self.fallback.run(
            lambda level: relit(self.frame, self.layout, moved(correction, "cpu") if level else correction)
        )


@dataclass(frozen=True, eq=False)
class TensorPicture(SourcePicture):
    """torch `[3 | 4, H, W]` float in [0, 1]."""

    value: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.value.shape[-2], self.value.shape[-1]

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        colours = self.value.detach()[:3].to(device, torch.float32)
        return torch.stack([resize(plane, size) for plane in colours]).clamp(0, 1)

    def corrected(self, correction: Correction | None) -> Tensor:
        if correction is None:
            return self.value
        colours = self.value.detach()[:3].to(correction.log_gain.device, torch.float32)
        changed = correction.applied(colours)
        return torch.cat([changed.to(self.value), self.value.detach()[3:]])


@dataclass(frozen=True, eq=False)
class FloatPicture(SourcePicture):
    """numpy `[H, W, 3 | 4]` float in [0, 1]."""

    value: Any

    @property
    def size(self) -> tuple[int, int]:
        return self.value.shape[0], self.value.shape[1]

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        return self._tensor().rgb(size, device)

    def corrected(self, correction: Correction | None) -> Any:
        if correction is None:
            return self.value
        changed = self._tensor().corrected(correction).permute(1, 2, 0)
        return np.ascontiguousarray(changed.cpu().numpy().astype(self.value.dtype, copy=False))

    def _tensor(self) -> TensorPicture:
        value = torch.from_numpy(np.moveaxis(self.value, -1, 0).astype(np.float32, order="C"))
        return TensorPicture(self.index, self.excluded, value)


@dataclass(frozen=True, eq=False)
class IntegerPicture(SourcePicture):
    """numpy `[H, W, 3 | 4]` uint8 or uint16: the same arithmetic as for a decoded R'G'B' video."""

    value: Any

    @property
    def size(self) -> tuple[int, int]:
        return self.value.shape[0], self.value.shape[1]

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        return self._decoded().rgb(size, device).clamp(0, 1)

    def corrected(self, correction: Correction | None) -> Any:
        if correction is None:
            return self.value
        green, blue, red, *alpha = self._decoded().corrected(correction).planes
        return np.stack([red, green, blue, *alpha], axis=-1)

    def _decoded(self) -> DecodedPicture:
        channels = self.value.shape[-1]
        layout = PlaneLayout("rgb", 8 * self.value.dtype.itemsize, True, "bt709", (0, 0), channels == 4)
        red, green, blue, *alpha = (np.ascontiguousarray(self.value[..., k]) for k in range(channels))
        frame = Frame(self.index, 0, Fraction(1), (green, blue, red, *alpha))
        return DecodedPicture(self.index, self.excluded, frame, layout)


@dataclass(frozen=True, eq=False)
class PilPicture(SourcePicture):
    """A PIL image of mode RGB or RGBA, seen as an array."""

    value: Image.Image
    array: IntegerPicture = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "array", IntegerPicture(self.index, self.excluded, np.asarray(self.value)))

    @property
    def size(self) -> tuple[int, int]:
        return self.value.height, self.value.width

    def rgb(self, size: tuple[int, int], device: torch.device) -> Tensor:
        return self.array.rgb(size, device)

    def corrected(self, correction: Correction | None) -> Image.Image:
        return self.value if correction is None else Image.fromarray(self.array.corrected(correction))


def picture_of(value: Any, index: int, *, excluded: bool) -> SourcePicture:
    """The picture of an array, a tensor or an image."""
    if isinstance(value, Tensor):
        return TensorPicture(index, excluded, value)
    if isinstance(value, Image.Image):
        return PilPicture(index, excluded, value)
    if np.issubdtype(value.dtype, np.floating):
        return FloatPicture(index, excluded, value)
    return IntegerPicture(index, excluded, value)

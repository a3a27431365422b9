"""What the stages remember as bytes, and back again to the last bit.

The objects go through pickle, with three kinds taken out: tensors, whose bytes follow; frames, which are decoded again
and stand there by their number; and what a run has anyway, such as the flow network, which stands there by its name.
Reading builds the classes listed here and nothing else: a file that asks for anything more is refused before it is run.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, Protocol

import torch
from torch import Tensor

from deflicker.media.frame import Frame

_ADMITTED = {
    ("collections", "deque"),
    *(
        (f"deflicker.{module}", name)
        for module, names in {
            "pipeline.stages": ("Following",),
            "motion.flashes": ("Watching",),
            "motion.tracking": ("Given", "Tracked", "Tracking", "_Keys", "_Picture"),
            "motion.flow": ("Features",),
            "motion.duplicates": ("Pace",),
            "motion.flow_oom": ("_Seen",),
            "motion.cuts": ("CutFinder", "Looks"),
            "correction.types": ("Corrected", "Choice"),
            "correction.tone.windows": ("Toning", "_Shot"),
            "correction.tone.state": ("State",),
            "correction.tone.seam_correction": ("SeamMemory",),
            "correction.tone.reference_anchor": ("AnchorMemory",),
            "correction.apply": ("Correction",),
            "correction.texture.reference_hold": ("Held",),
            "correction.texture.keyframe_locking": ("Lasting",),
            "correction.texture.pictures": ("Picture", "Pictures"),
            "correction.texture.stabilize": ("Steadying", "_Shot"),
            "correction.texture.boil": ("Boil",),
            "correction.texture.planes": ("Planes",),
            "metrics.flicker": ("FlickerSums",),
        }.items()
        for name in names
    ),
}
_LENGTH = struct.Struct("<Q")


class Sink(Protocol):
    """What can be written to."""

    def write(self, data: Any, /) -> object:
        """Take some bytes."""


class Damaged(Exception):
    """The bytes are not what was written."""


class _Pickler(pickle.Pickler):
    def __init__(self, file: BinaryIO, named: Mapping[str, object]) -> None:
        super().__init__(file, protocol=5)
        self._names = {id(value): name for name, value in named.items() if value is not None}
        self._places: dict[int, int] = {}
        self.tensors: list[Tensor] = []
        self.frames: set[int] = set()

    def persistent_id(self, value: Any) -> Any:
        if name := self._names.get(id(value)):
            return "named", name
        if isinstance(value, Frame):
            self.frames.add(value.index)
            return "frame", value.index
        if not isinstance(value, Tensor):
            return None
        place = self._places.setdefault(id(value), len(self.tensors))
        if place == len(self.tensors):
            self.tensors.append(value)
        order = _order(value)
        shape = tuple(value.shape[axis] for axis in order)
        return "tensor", place, str(value.dtype).removeprefix("torch."), shape, order, value.device.type == "cpu"


def _order(value: Tensor) -> tuple[int, ...]:
    """Axes from the slowest in memory to the fastest: networks may round differently where the order differs."""
    return tuple(sorted(range(value.ndim), key=lambda axis: -value.stride()[axis]))


def freeze(value: Any, file: Sink, named: Mapping[str, object]) -> frozenset[int]:
    """Write a value; the numbers of the frames that it holds. named: what the reader has under the same names."""
    objects = io.BytesIO()
    pickler = _Pickler(objects, named)
    pickler.dump(value)
    file.write(_LENGTH.pack(objects.tell()))
    file.write(objects.getbuffer())
    for tensor in pickler.tensors:
        flat = tensor.detach().permute(_order(tensor)).reshape(-1).cpu()
        file.write(flat.view(torch.uint8).numpy().data)
    return frozenset(pickler.frames)


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, objects: bytes, file: BinaryIO, named: Mapping[str, object], frames: Mapping[int, Frame], device: Any
    ) -> None:
        super().__init__(io.BytesIO(objects))
        self._file, self._named, self._frames, self._device = file, named, frames, device
        self._tensors: list[Tensor] = []

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise Damaged(f"it asks for {module}.{name}")
        return super().find_class(module, name)

    def persistent_load(self, place: Any) -> Any:
        kind, which, *rest = place
        if kind == "named":
            return self._named[which]
        if kind == "frame":
            return self._frames[which]
        if which == len(self._tensors):  # the first mention: tensors lie in this order
            self._tensors.append(self._tensor(*rest))
        return self._tensors[which]

    def _tensor(self, dtype: str, shape: tuple[int, ...], order: tuple[int, ...], on_cpu: bool) -> Tensor:
        kind = getattr(torch, dtype)
        block = _exactly(self._file, math.prod(shape) * kind.itemsize)
        flat = torch.frombuffer(bytearray(block), dtype=kind) if block else torch.empty(0, dtype=kind)
        value = flat.reshape(shape).permute(tuple(order.index(axis) for axis in range(len(order))))
        return value if on_cpu else value.to(self._device)


def thaw(
    file: BinaryIO,
    named: Mapping[str, object],
    frames: Mapping[int, Frame],
    device: torch.device | str = "cpu",
) -> Any:
    """Read a value that `freeze` wrote. Raises Damaged where it cannot be."""
    length = _LENGTH.unpack(_exactly(file, _LENGTH.size))[0]
    try:
        return _Unpickler(_exactly(file, length), file, named, frames, device).load()
    except (Damaged, OSError, MemoryError):
        raise
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        raise Damaged(f"it cannot be read ({type(error).__name__})") from None


def _exactly(file: BinaryIO, count: int) -> bytes:
    block = file.read(count)
    if len(block) != count:
        raise Damaged("it ends early")
    return block

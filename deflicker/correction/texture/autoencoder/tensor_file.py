"""Files of named tensors in the safetensors format: a length, a JSON header, numbers. No pickle."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from torch import Tensor

_LONGEST_HEADER = 100 << 20
_NAMES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I64": "int64"}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    Raises ValueError where it is no whole file of this format, OSError where it cannot be read.
    """
    import torch

    with path.open("rb") as file:
        header, body_at = _header(file)
        length, tensors = file.seek(0, os.SEEK_END) - body_at, {}
        for name, about in header.items():
            if name == "__metadata__":
                continue
            try:
                dtype, shape = getattr(torch, _NAMES[about["dtype"]]), tuple(map(int, about["shape"]))
                start, end = map(int, about["data_offsets"])
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"its entry {name!r} cannot be read") from None
            size = math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or not 0 <= start <= end <= length or end - start != size:
                raise ValueError(f"its entry {name!r} is cut off")
            file.seek(body_at + start)
            data = bytearray(file.read(size))
            tensors[name] = (torch.frombuffer(data, dtype=dtype) if size else torch.empty(0, dtype=dtype)).view(shape)
    return tensors


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """What the tensors are, by name, and where their numbers begin."""
    length = int.from_bytes(file.read(8), "little")
    begun = file.read(length) if 2 <= length <= _LONGEST_HEADER else b""
    try:
        header = json.loads(begun) if len(begun) == length else None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ValueError("it is no safetensors file")
    return header, 8 + length


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
    """Write tensors, and words about them, in one file; names in order, so that the same ones give the same bytes."""
    import torch

    kinds = {getattr(torch, kind): name for name, kind in _NAMES.items()}
    header: dict[str, object] = {"__metadata__": dict(about)}
    parts, at = [], 0
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        offsets = [at, at + len(data)]
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
        parts.append(data)
        at += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(parts))

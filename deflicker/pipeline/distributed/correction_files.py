"""Corrections on the disk: a file holds those of frames that follow each other, number by number as they were found.

For each frame there is one line of JSON and after it the arrays that it names, in numpy's own format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from deflicker.core.errors import OutputError
from deflicker.core.files import unfinished_name
from deflicker.correction.apply import Correction
from deflicker.correction.types import Choice, Corrected
from deflicker.metrics.flicker import FlickerSums

_CORRECTION = ("log_gain", "highlights", "curve", "detail")
_SUMS = ("whole", "local", "frames", "weight")
_MOTION = ("forward_px", "backward_px")


def write(path: Path, frames: Iterable[Corrected[Any]], *, motion: bool = False) -> None:
    """Store what is to be done to each frame; `path` appears once all is there.

    motion: also how the picture moved, which only a report asks for. Raises OutputError.
    """
    unfinished = unfinished_name(path)
    try:
        with unfinished.open("wb") as file:
            for frame in frames:
                _write(file, frame, motion)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: corrections cannot be stored there: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path, device: torch.device) -> Iterator[Corrected[Any]]:
    """What `write` stored, on a device, frame by frame."""
    with path.open("rb") as file:
        while line := file.readline():
            yield _read(file, json.loads(line), device)


def _write(file: BinaryIO, frame: Corrected[Any], motion: bool) -> None:
    arrays: dict[str, Tensor] = {}
    if frame.correction is not None:
        arrays |= {f"correction.{name}": getattr(frame.correction, name) for name in _CORRECTION}
    for side in ("before", "after"):
        if (sums := getattr(frame, side)) is not None:
            arrays |= {f"{side}.{name}": getattr(sums, name) for name in _SUMS}
    if motion:
        arrays |= {name: getattr(frame, name) for name in _MOTION}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    line = {"opens_shot": frame.opens_shot, "held": frame.held, "kept": frame.kept, "diverged": frame.diverged}
    texture = None if frame.texture is None else asdict(frame.texture)
    file.write(json.dumps(line | {"texture": texture, "arrays": list(arrays)}).encode() + b"\n")
    for array in arrays.values():
        np.save(file, array.detach().cpu().numpy(), allow_pickle=False)


def _read(file: BinaryIO, line: Mapping[str, Any], device: torch.device) -> Corrected[Any]:
    found = {name: torch.from_numpy(np.load(file, allow_pickle=False)).to(device) for name in line["arrays"]}

    def sums(side: str) -> FlickerSums | None:
        return FlickerSums(*(found[f"{side}.{name}"] for name in _SUMS)) if f"{side}.whole" in found else None

    correction = None
    if "correction.log_gain" in found:
        correction = Correction(**{name: found[at] for name in _CORRECTION if (at := f"correction.{name}") in found})
    return Corrected(
        None, correction, line["opens_shot"], sums("before"), sums("after"), line["held"],
        found.get("forward_px"), found.get("backward_px"), line["diverged"], line["kept"],
        line["texture"] and Choice(**line["texture"]),
    )  # fmt: skip

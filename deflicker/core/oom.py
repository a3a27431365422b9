"""Out of memory: do the same thing with less, say so, and lose no frame."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

R = TypeVar("R")

log = logging.getLogger("deflicker")


class OomFallback:
    """Ways to do one thing, each with less of the GPU's memory than the one before. A step down is for good."""

    def __init__(self, what: str, fallbacks: Sequence[str]) -> None:
        """what: such as `flow`; fallbacks: what is done instead, in words, first of the first step down."""
        self._what, self._fallbacks = what, tuple(fallbacks)
        self.level = 0
        """Steps taken so far."""

    def run(self, work: Callable[[int], R]) -> R:
        """`work(level)`, again one step lower whenever it runs out of memory. Raises that error from the last level."""
        while True:
            try:
                return work(self.level)
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.level == len(self._fallbacks):
                    raise
            # Only here, where the error holds on to no tensor any more, is there memory to give back.
            log.warning("out of memory in %s: %s from here on", self._what, self._fallbacks[self.level])
            self.level += 1
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU had no memory left. Apple's say so in words only."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def moved(value: R, device: torch.device | str) -> R:
    """The value with every tensor in it on a device: tensors, tuples, lists, dicts and dataclasses of such."""
    found: Any = value
    if isinstance(found, Tensor):
        found = found.to(device)
    elif isinstance(found, tuple | list):
        found = type(found)(moved(each, device) for each in found)
    elif isinstance(found, dict):
        found = {key: moved(each, device) for key, each in found.items()}
    elif dataclasses.is_dataclass(found) and not isinstance(found, type):
        parts = {field.name: moved(getattr(found, field.name), device) for field in dataclasses.fields(found)}
        found = dataclasses.replace(found, **parts)
    result: R = found
    return result

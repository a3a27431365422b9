"""Memory that was freed, given back to the system.

glibc keeps what is freed in pools, several of them where there are threads, and hands out more before it has used up
what lies between. Frames and their pyramids come in many sizes, so over thousands of frames the holes grow: a process
that uses 0.8 GB comes to hold 3. One pool has fewer holes, and giving them back every few seconds keeps them few. Pages
given back are cleared once more when they are needed again, a tenth of a second in all, so it is not done more often.
By itself, glibc does so whenever a large tensor goes: a third of a gigabyte is cleared for each frame.
"""

from __future__ import annotations

import ctypes
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

EVERY_S = 4.0
"""Seconds between two times."""
_OPTIONS = {-8: 1, -3: 1 << 30, -1: 1 << 27}
"""glibc's M_ARENA_MAX, how many pools; M_MMAP_THRESHOLD, bytes from which memory comes from the system each time;
M_TRIM_THRESHOLD, free bytes at a pool's end that go back at once."""


def use_single_arena() -> None:
    """Have the C library keep one pool for all threads, and keep what is freed until `trim_periodically` gives it back.

    For a process of our own, before it starts threads.
    """
    if set_option := getattr(_c_library(), "mallopt", None):
        for option, value in _OPTIONS.items():
            set_option(option, value)


def trim_periodically(frames: Iterable[T], every_s: float = EVERY_S) -> Iterator[T]:
    """The same frames; every few seconds free memory goes back to the system, where the C library can do that."""
    trim, last = trim_of(_c_library()), time.monotonic()
    for frame in frames:
        if time.monotonic() - last >= every_s:
            trim()
            last = time.monotonic()
        yield frame


def trim_of(library: object) -> Callable[[], object]:
    """`malloc_trim(0)` of a C library; something that does nothing where it has no such function."""
    trim = getattr(library, "malloc_trim", None)
    if trim is None:
        return lambda: None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return functools.partial(trim, 0)


def _c_library() -> object:
    """The C library in use; None where the system does not say."""
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None

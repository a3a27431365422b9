"""What stands in for networks, and faults at a chosen call of the tool's functions."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

ROOT = str(Path(__file__).parents[1] / "deflicker")


class Still:
    """A flow network for what stands still, and at once."""

    def features(self, frames: Tensor) -> list[Tensor]:
        return list(frames)

    def flow(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        none = first[0].new_zeros(len(first), 2, *first[0].shape[-2:])
        return none, none


class NoModels:
    """In place of `Models` where no network may be asked for."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a network was asked for: {name}")


def failing(
    function: Callable[..., Any], error: BaseException, *, after: int = 0, times: int = 10**6
) -> Callable[..., Any]:
    """The function, which fails so many times after so many calls."""
    made = iter(range(10**9))

    def fail(*arguments: Any, **named: Any) -> Any:
        if after <= next(made) < after + times:
            raise error
        return function(*arguments, **named)

    return fail


@contextmanager
def watched(watch: Callable[[FrameType], None], name: str) -> Iterator[None]:
    """Have a look at each call of a function of the tool, such as `Writer.write`, on any thread that starts now."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_qualname == name and code.co_filename.startswith(ROOT):
            watch(frame)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


@contextmanager
def fault_in(name: str, error: BaseException, *, after: int = 0) -> Iterator[None]:
    """Raise an error once in a function of the tool, such as `Writer.write`, after so many calls, on any thread."""
    calls = 0

    def fail(_: FrameType) -> None:
        nonlocal calls
        calls += 1
        if calls == after + 1:
            raise error

    with watched(fail, name):
        yield
    assert calls > after, f"{name} was called {calls} times: the fault was not made"

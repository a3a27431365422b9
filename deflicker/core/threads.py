"""Two small threads: one that reads ahead, one that works behind. Errors come up in the thread that asked."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from deflicker.core.errors import DeflickerError

T = TypeVar("T")

_POLL_S = 0.05
"""How long any wait lasts before it looks again whether to stop."""
STALLED_S = 1800.0
"""How long the other side may take over one item. The slowest encoders at the largest sizes need minutes."""
_JOIN_S = 60.0
"""How long giving up waits for the item a thread is working on; the threads are daemons and end with the process."""


class _Stopped(Exception):
    """The other side gave up."""


def _put(items: queue.Queue[T], item: T, stop: threading.Event, deadline: float = float("inf")) -> None:
    while not stop.is_set():
        try:
            items.put(item, timeout=_POLL_S)
            return
        except queue.Full:
            if time.monotonic() > deadline:
                raise _stalled("written") from None
    raise _Stopped


def _stalled(what: str) -> DeflickerError:
    return DeflickerError(f"no frame was {what} for too long: check the disk and the network")


def prefetch(iterable: Iterable[T], depth: int, stalled_s: float = STALLED_S) -> Generator[T, None, None]:
    """Yield from `iterable`, which runs on a thread of its own, at most `depth` items ahead.

    Its exceptions are raised here; DeflickerError where it takes `stalled_s` over one item. Closing the generator
    stops the thread after the item it is working on, closes `iterable` on that thread where it is a generator, and
    waits for both.
    """
    items: queue.Queue[tuple[T] | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            with suppress(_Stopped):
                for item in iterable:
                    _put(items, (item,), stop)
        except BaseException as error:  # raised again in the consumer
            failure.append(error)
        finally:
            if isinstance(iterable, Generator):
                iterable.close()
            with suppress(_Stopped):
                _put(items, None, stop)

    thread = threading.Thread(target=run, name="deflicker-prefetch", daemon=True)
    thread.start()
    try:
        while (box := _get(items, thread, stalled_s)) is not None:  # the thread's last act is to put None
            yield box[0]
        if failure:
            raise failure[0]
    finally:
        stop.set()
        thread.join(_JOIN_S)


def _get(items: queue.Queue[T], thread: threading.Thread, stalled_s: float) -> T:
    deadline = time.monotonic() + stalled_s
    while True:
        alive = thread.is_alive()
        try:
            return items.get(timeout=_POLL_S)
        except queue.Empty:
            if not alive:
                raise RuntimeError("the thread that reads ahead died") from None
            if time.monotonic() > deadline:
                raise _stalled("read") from None


class Background(Generic[T]):
    """Call `consume(item)` on a thread of its own, in order, at most `depth` items behind.

    A `with` block closes it: `close()` on success, `abort()` on an exception. `put` and `close` raise DeflickerError
    where it takes `stalled_s` over one item.
    """

    def __init__(self, consume: Callable[[T], None], depth: int, stalled_s: float = STALLED_S) -> None:
        self._consume, self._stalled_s = consume, stalled_s
        self._items: queue.Queue[tuple[T] | None] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="deflicker-background", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    box = self._items.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if box is None:
                    return
                self._consume(box[0])
        except BaseException as error:  # raised again in the producer
            self._failure = error
        finally:
            self._stop.set()

    def put(self, item: T) -> None:
        """Hand over one item; waits while the queue is full. Raises what `consume` raised, once it did."""
        try:
            _put(self._items, (item,), self._stop, time.monotonic() + self._stalled_s)
        except _Stopped:
            raise self._failure or ValueError("put() after close() or abort()") from None

    def close(self) -> None:
        """Wait until everything is consumed, end the thread, and raise what `consume` raised."""
        with suppress(_Stopped):
            _put(self._items, None, self._stop, time.monotonic() + self._stalled_s)
        left, deadline = -1, 0.0
        while self._thread.is_alive():
            if self._items.qsize() != left:
                left, deadline = self._items.qsize(), time.monotonic() + self._stalled_s
            elif time.monotonic() > deadline:
                self._stop.set()
                raise _stalled("written")
            self._thread.join(_POLL_S)
        if self._failure:
            raise self._failure

    def abort(self) -> None:
        """End the thread after the item it is working on; what is queued is left undone."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def __enter__(self) -> Background[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

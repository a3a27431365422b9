"""Threads that read ahead and work behind: order, bounds, errors, and no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from deflicker.core.errors import DeflickerError
from deflicker.core.threads import Background, prefetch


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_prefetch_yields_everything_in_order_from_another_thread() -> None:
    threads = set()

    def source() -> Iterator[int]:
        for number in range(50):
            threads.add(threading.get_ident())
            yield number

    assert list(prefetch(source(), 3)) == list(range(50))
    assert threads
    assert threading.get_ident() not in threads


def test_prefetch_stays_within_its_depth() -> None:
    made = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = prefetch(source(), 4)
    next(ahead)
    time.sleep(0.2)
    # One taken, four queued, one in the source's hands.
    assert len(made) <= 6
    ahead.close()


def test_prefetch_raises_the_sources_error_after_its_items() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    ahead = prefetch(source(), 2)
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(ahead)


def test_prefetch_raises_what_iter_raises() -> None:
    with pytest.raises(TypeError):
        list(prefetch(3, 2))  # type: ignore[arg-type]


def test_closing_prefetch_closes_the_source_on_its_own_thread() -> None:
    closed_on = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed_on.append(threading.current_thread().name)

    ahead = prefetch(source(), 2)
    next(ahead)
    ahead.close()
    assert closed_on == ["deflicker-prefetch"]


def test_background_consumes_in_order_and_close_waits() -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.002)
        done.append(number)

    with Background(slow, 3) as background:
        for number in range(20):
            background.put(number)
    assert done == list(range(20))


def test_background_raises_the_consumers_error_in_put() -> None:
    def fail(number: int) -> None:
        raise RuntimeError(f"no {number}")

    background = Background(fail, 1)
    background.put(0)
    time.sleep(0.1)
    with pytest.raises(RuntimeError, match="no 0"):
        background.put(1)
    with pytest.raises(RuntimeError, match="no 0"):
        background.close()


def test_background_raises_the_last_items_error_in_close() -> None:
    def fail_late(number: int) -> None:
        time.sleep(0.05)
        raise RuntimeError("late")

    background = Background(fail_late, 2)
    background.put(1)
    with pytest.raises(RuntimeError, match="late"):
        background.close()


def test_background_abort_leaves_the_queue_undone() -> None:
    done: list[int] = []
    started, go_on = threading.Event(), threading.Event()

    def work(number: int) -> None:
        started.set()
        go_on.wait(5)
        done.append(number)

    background = Background(work, 5)
    for number in range(4):
        background.put(number)
    started.wait(5)
    threading.Timer(0.05, go_on.set).start()
    background.abort()
    time.sleep(0.1)
    assert done == [0]
    with pytest.raises(ValueError, match="after close"):
        background.put(9)


def test_an_exception_in_the_block_is_not_replaced() -> None:
    with pytest.raises(KeyError, match="mine"), Background(lambda item: None, 1):
        raise KeyError("mine")


def test_a_source_that_stalls_is_given_up() -> None:
    go_on = threading.Event()

    def stuck() -> Iterator[int]:
        yield 1
        go_on.wait(10)

    ahead = prefetch(stuck(), 2, stalled_s=0.2)
    assert next(ahead) == 1
    threading.Timer(0.6, go_on.set).start()
    with pytest.raises(DeflickerError, match="no frame was read for"):
        next(ahead)


@pytest.mark.parametrize("waiting", ["put", "close"])
def test_a_consumer_that_stalls_is_given_up(waiting: str) -> None:
    go_on = threading.Event()
    background = Background(lambda _: go_on.wait(10), 1, stalled_s=0.2)
    background.put(0)
    with pytest.raises(DeflickerError, match="no frame was written for"):
        background.close() if waiting == "close" else [background.put(number) for number in range(3)]
    go_on.set()
    background.abort()


def test_a_slow_consumer_is_waited_for() -> None:
    """All together it takes longer than one item may."""
    done: list[int] = []
    with Background(lambda number: (time.sleep(0.15), done.append(number)), 8, stalled_s=0.5) as background:
        for number in range(8):
            background.put(number)
    assert done == list(range(8))


def test_a_thread_that_dies_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: None)
    with pytest.raises(RuntimeError, match="died"):
        next(prefetch([1], 1))

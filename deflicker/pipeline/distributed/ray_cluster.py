"""Videos over a Ray cluster: workers that keep the networks, and files, or segments of one film, handed to them.

Driver and workers see the same files under the same names. What is Ray's own: https://docs.ray.io/en/latest/ray-core.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from deflicker.core.errors import Cancelled, DeflickerError, SettingsError
from deflicker.core.settings import Settings
from deflicker.core.version import __version__
from deflicker.pipeline.distributed.resources import share
from deflicker.report.model import Report

if TYPE_CHECKING:
    from deflicker.pipeline.distributed.segments import Segment

log = logging.getLogger("deflicker")

ATTEMPTS = 3
"""Workers that one file or segment may lose."""
POLL_S = 0.2
KNOCK_S = 10.0
PATIENCE_S = 30.0
"""After which a missing worker is talked of."""


class Hello(NamedTuple):
    """What a worker that is ready says of itself."""

    version: str
    host: str
    pid: int


class Worker:
    """The actor. Two of its methods may run at once, so that it can be told to stop."""

    def __init__(self, settings: Settings) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cli.main.main` does
        from deflicker.pipeline.session import Deflicker

        self._deflicker, self._stop = Deflicker(settings), Event()

    def hello(self) -> Hello:
        return Hello(__version__, platform.node(), os.getpid())

    def file(self, source: Path, target: Path, extras: dict[str, Any]) -> tuple[Report, list[str]]:
        """The report, and the warnings that came with it."""
        with _warnings() as messages:
            return self._deflicker.file(source, target, cancel=self._stop, **extras), messages

    def segment(self, source: Path, segment: Segment, target: Path, motion: bool) -> tuple[None, list[str]]:
        """Nothing, and the warnings that came with it."""
        from deflicker.pipeline.distributed.segments import SegmentWork, store_segment

        work = SegmentWork(self._deflicker.models, motion, self._stop)
        with _warnings() as messages:
            store_segment(source, segment, self._deflicker.settings, target, work)
            return None, messages

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What is logged meanwhile, in words."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        yield messages
    finally:
        log.removeHandler(handler)


class Cluster:
    """Workers of a Ray cluster while it is open. `size` threads may hand out a file each.

    address: `HOST:PORT` of the cluster's head, or `auto` for the cluster that this machine belongs to. workers: how
    many, as `share` takes it. on_worker: told `started` or `lost`, and which.
    Raises SettingsError where Ray or a share for any worker is missing, DeflickerError where there is no cluster.
    """

    def __init__(
        self, address: str, settings: Settings, workers: int | None, on_worker: Callable[[str, Hello], None]
    ) -> None:
        self._ray, self._settings, self._on_worker = _connected(address), settings, on_worker
        self._lock, self._starting, self._idle = Lock(), dict[Any, Any](), list[Any]()
        self._known: dict[Any, Hello] = {}
        self._failure = ""
        try:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._share = share(nodes, settings.device, workers)
            for _ in range(self.size):
                self._start()
        except BaseException:
            self._ray.shutdown()
            raise

    @property
    def size(self) -> int:
        """Workers."""
        return self._share.workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._ray.shutdown()  # which ends the workers

    def file(self, source: Path, target: Path, stop: Event, extras: Mapping[str, Any]) -> Report:
        """`Deflicker.file`, `extras` its options, on the next free worker, and again on another where that one is lost.

        Raises what that raises, Cancelled once `stop` is set, and DeflickerError where workers are lost time and again.
        """
        fresh = not target.exists()

        def lost() -> None:
            if fresh:
                target.unlink(missing_ok=True)  # finished, but nothing is known of it

        whole = {name: value.resolve() if isinstance(value, Path) else value for name, value in extras.items()}
        report: Report
        report, messages = self._by_some_worker(
            lambda worker: worker.file.remote(source.resolve(), target.resolve(), whole), stop, lost
        )
        for message in messages:
            log.warning("%s: %s", source, message)
        return replace(report, source=str(source), target=str(target))

    def store_segment(self, source: Path, segment: Segment, target: Path, *, motion: bool, stop: Event) -> None:
        """`segments.store_segment` on the next free worker, and again on another where that one is lost.

        Raises what that raises, and what `file` raises of workers.
        """
        _, messages = self._by_some_worker(
            lambda worker: worker.segment.remote(source.resolve(), segment, target.resolve(), motion), stop
        )
        for message in messages:
            log.warning("%s, counted from frame %d on: %s", source, segment.shots.first, message)

    def _by_some_worker(
        self, work: Callable[[Any], Any], stop: Event, on_lost: Callable[[], None] = lambda: None
    ) -> tuple[Any, list[str]]:
        for _ in range(ATTEMPTS):
            worker = self._next(stop)
            try:
                found = self._result(worker, work(worker), stop)
            except self._ray.exceptions.RayActorError:
                self._lost(worker)
                on_lost()
                continue
            except BaseException:
                self._free(worker)
                raise
            self._free(worker)
            return found
        raise DeflickerError(f"{ATTEMPTS} workers were lost one after another: check their memory")

    def _result(self, worker: Any, reference: Any, stop: Event) -> tuple[Any, list[str]]:
        """What the worker returns or raises; it is told to stop where everything is to."""
        told = False
        while not self._ray.wait([reference], timeout=POLL_S)[0]:
            if stop.is_set() and not told:
                worker.stop.remote()
                told = True
        try:
            found: tuple[Any, list[str]] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        return found

    # --- Workers ------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        options = {"num_cpus": self._share.cpus, "num_gpus": self._share.gpus, "scheduling_strategy": "SPREAD"}
        worker = self._ray.remote(Worker).options(**options, max_concurrency=2).remote(_absolute(self._settings))
        self._starting[worker.hello.remote()] = worker

    def _next(self, stop: Event) -> Any:
        """A worker that is ready and has nothing to do, as soon as there is one."""
        began, warned = time.monotonic(), False
        while not stop.is_set():
            with self._lock:
                self._welcome()
                if self._idle:
                    return self._idle.pop()
                if not self._known and not self._starting:
                    raise DeflickerError(self._failure)
            if not warned and time.monotonic() - began > PATIENCE_S:
                warned = True
                log.warning("waiting for a worker: the cluster is busy, or has lost machines (see `ray status`)")
            time.sleep(POLL_S)
        raise Cancelled("stopped")

    def _welcome(self) -> None:
        """Take in those that have started."""
        if not self._starting:
            return
        for reference in self._ray.wait(list(self._starting), num_returns=len(self._starting), timeout=0)[0]:
            worker = self._starting.pop(reference)
            try:
                hello = Hello(*self._ray.get(reference))
            except self._ray.exceptions.RayError as error:
                self._give_up(worker, f"a worker of the cluster does not start: {_last_line(error)}")
                continue
            if hello.version != __version__:
                both = f"{hello.host} has deflicker {hello.version}, this machine {__version__}"
                self._give_up(worker, f"{both}: install the same version on all")
                continue
            self._known[worker] = hello
            self._idle.append(worker)
            self._on_worker("started", hello)

    def _give_up(self, worker: Any, why: str) -> None:
        """Go on without it."""
        self._ray.kill(worker)
        self._failure = why
        log.warning("%s", why)

    def _free(self, worker: Any) -> None:
        with self._lock:
            self._idle.append(worker)

    def _lost(self, worker: Any) -> None:
        """Start another. The old one may be alive behind a broken network."""
        with self._lock:
            hello = self._known.pop(worker)
            self._ray.kill(worker)
            self._start()
        log.warning("the worker %d on %s was lost: its work is repeated", hello.pid, hello.host)
        self._on_worker("lost", hello)


def _connected(address: str) -> Any:
    """The module `ray`, connected."""
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise SettingsError("--ray needs Ray: pip install 'video-deflicker[ray]'") from error
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address)
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise DeflickerError(
            f"no Ray cluster at {address} ({_last_line(error)}): start one with `ray start --head`"
        ) from error
    signal.signal(signal.SIGTERM, handler)  # Ray's own exits at once
    return ray


def _knock(address: str) -> None:
    """Raise OSError where nobody answers at `HOST:PORT`. Ray itself takes minutes, and says more than a line."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "//" not in host:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _absolute(settings: Settings) -> Settings:
    """With names of files that hold in any folder."""
    named = {name: getattr(settings, name) for name in ("weights", "guide", "reference")}
    whole: dict[str, Any] = {name: path.resolve() for name, path in named.items() if isinstance(path, Path)}
    if path := settings.autoencoder_path:
        whole["autoencoder"] = str(path.resolve())
    return replace(settings, **whole)


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()

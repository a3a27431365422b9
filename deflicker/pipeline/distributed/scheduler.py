"""One long film, its shots corrected elsewhere, many at a time: found here, handed out, put together in order.

What comes back are corrections, in files beside the output, not pictures: so the film is encoded once, here, as in a
run by one machine, and nothing of it is held in memory but a frame. Files that are there from an interrupted run are
used again.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import torch

from deflicker.core.blocks import Damaged
from deflicker.core.device import choose
from deflicker.core.errors import Cancelled, DeflickerError, OutputError
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.types import FrameRecord
from deflicker.media.color import proxy_size
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import open_source
from deflicker.pipeline.distributed.segments import MIN_FRAMES, Segment, find_segments
from deflicker.pipeline.run_context import VideoSize
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import record_of
from deflicker.pipeline.store.block_files import read_records
from deflicker.pipeline.store.fingerprint import run_fingerprint
from deflicker.pipeline.store.folder import Store
from deflicker.report.model import Report

log = logging.getLogger("deflicker")

_POLL_S = 0.2
_JOIN_S = 60.0
OnSegment = Callable[[Literal["done", "found"], Segment], None]
"""Told of each segment once it is there: corrected now, or found from an earlier run. Called by several threads."""


class SegmentExecutor(Protocol):
    """Who corrects segments; see `pipeline.distributed.ray_cluster.Cluster`."""

    @property
    def size(self) -> int:
        """How many at a time."""

    def store_segment(
        self, source: Path, segment: Segment, target: Path, *, motion: bool, stop: threading.Event
    ) -> None:
        """Do what `segments.store_segment` does, and raise what it raises, or Cancelled once `stop` is set."""


class ShotScheduler:
    """A film on its way through many workers while the block runs; the corrections of one run of `deflicker`.

    Raises what probing the film raises, OutputError where another run has its progress.
    """

    min_frames = MIN_FRAMES
    """As `find_segments` takes it."""

    def __init__(
        self,
        source: Path,
        target: Path,
        settings: Settings,
        executor: SegmentExecutor,
        *,
        motion: bool = False,
        on_segment: OnSegment | None = None,
    ) -> None:
        """motion: whether the run is measured."""
        self._source, self._target, self._settings, self._executor = source, target, settings, executor
        self._motion = motion
        self._on_segment = on_segment or (lambda how, segment: None)
        self._stop = threading.Event()
        self._segments: queue.SimpleQueue[tuple[Path, Future[None]] | BaseException | None] = queue.SimpleQueue()
        self._frames_done: list[int] = []
        self._pool = ThreadPoolExecutor(executor.size, thread_name_prefix="deflicker-segment")
        self._planner = threading.Thread(target=self._plan, name="deflicker-planner", daemon=True)

    def __enter__(self) -> Self:
        self._store = Store(self._target)
        self._planner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._planner.join(_JOIN_S)
        self._pool.shutdown(wait=True, cancel_futures=True)
        keeps = error is not None and not self._store.is_empty()
        self._store.close(remove=not keeps)
        if keeps:
            log.warning("the progress of %s is saved: the same command continues from there", self._target)

    def __call__(
        self, frames: Iterator[Frame], info: VideoInfo, on_progress: OnProgress
    ) -> Generator[FrameRecord, None, None]:
        """The correction of every frame, as segments come in. `on_progress` is called while it waits for them."""
        device = choose(self._settings.device, self._settings.precision).torch_device
        size = self._proxy_size(info)
        for frame, record in zip(frames, self._records(device, info, on_progress), strict=True):
            picture = DecodedPicture.of(frame, info.layout)
            proxy = record_of(picture, size, device).proxy if self._motion else record.proxy
            yield replace(record, picture=picture, proxy=proxy)

    def signed(self, report: Report) -> Report:
        """A run's report, which says who found the corrections."""
        why = f"{self._executor.size} at a time decided {len(self._frames_done)} pieces of it"
        return replace(report, device="workers", device_reason=why)

    def _proxy_size(self, info: VideoInfo) -> tuple[int, int]:
        preset = VideoSize.of(info).fitted(self._settings)
        return proxy_size(info.height, info.width, preset.flow_max_side_px)

    def _records(self, device: torch.device, info: VideoInfo, on_progress: OnProgress) -> Iterator[FrameRecord]:
        def wait() -> None:
            on_progress(Progress("shots", sum(self._frames_done), info.frame_count_hint))

        while True:
            try:
                found = self._segments.get(timeout=_POLL_S)
            except queue.Empty:
                wait()
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            path, done = found
            while not done.done():
                wait_for([done], timeout=_POLL_S)
                wait()
            done.result()
            try:
                with path.open("rb") as file:
                    yield from read_records(file, device)
            except Damaged as error:
                path.unlink()
                raise DeflickerError(
                    f"{path} was damaged ({error}) and is removed: run the same command again"
                ) from error

    def _plan(self) -> None:
        """Find the segments and hand each out at once. On a thread of its own."""
        try:
            options = self._settings.input()
            with (
                open_source(self._source, options) as opened,
                Reader(opened.info.path, options, info=opened.info, cancel=self._stop) as reader,
            ):
                self._begin(reader.info)
                device = choose(self._settings.device, self._settings.precision).torch_device
                size = self._proxy_size(reader.info)
                for segment in find_segments(reader, self._settings, size, device, self.min_frames):
                    if self._stop.is_set():
                        return
                    path = self._store.path / segment.filename
                    self._segments.put((path, self._pool.submit(self._have, segment, path)))
            self._segments.put(None)
        except BaseException as error:  # raised again where the segments are waited for
            self._segments.put(error)

    def _begin(self, info: VideoInfo) -> None:
        """Find what an earlier run under the same circumstances has left."""
        preset = VideoSize.of(info).fitted(self._settings)
        workers = f"workers, {self._settings.device} {self._settings.precision}"
        kind = {"the kind of run": f"by shots{', measured' if self._motion else ''}"}
        try:
            self._store.begin(run_fingerprint(info.path, self._settings, preset, workers) | kind)
        except OSError as error:
            raise OutputError(f"{self._store.path} cannot be written: {error.strerror or error}") from error

    def _have(self, segment: Segment, path: Path) -> None:
        """See to it that a segment is corrected."""
        if self._stop.is_set():
            raise Cancelled("stopped on request")
        found = path.exists()
        if not found:
            self._executor.store_segment(self._source, segment, path, motion=self._motion, stop=self._stop)
        self._frames_done.append(len(segment.shots))
        self._on_segment("found" if found else "done", segment)

"""One long film, its shots decided elsewhere, many at a time: found here, handed out, put together in order.

What comes back are corrections, in files beside the output, not pictures: so the film is encoded once, here, as in a
run by one machine, and nothing of it is held in memory but a frame. Files that are there from an interrupted run are
used again.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import torch

from deflicker.core import memory
from deflicker.core.device import choose
from deflicker.core.errors import Cancelled, InputError
from deflicker.core.presets import Preset
from deflicker.core.progress import OnProgress, Progress
from deflicker.core.settings import Settings
from deflicker.correction.texture.autoencoder.loading import bytes_of
from deflicker.correction.types import Corrected
from deflicker.media.color import with_proxies
from deflicker.media.demux import limits_of
from deflicker.media.frame import Frame, frame_bytes
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import take_in
from deflicker.motion.tracking import Tracked
from deflicker.pipeline.distributed import correction_files as records
from deflicker.pipeline.distributed.segment_store import PieceStore
from deflicker.pipeline.distributed.segments import Differs, Piece, decide_piece, find_pieces
from deflicker.pipeline.engine import Networks
from deflicker.pipeline.observers import Witness
from deflicker.report.model import Report

_POLL_S = 0.2
_JOIN_S = 60.0
OnPiece = Callable[[Literal["done", "found"], Piece], None]
"""Told of each piece once it is there: decided now, or found decided by an earlier run. Called by several threads."""


class Hands(Protocol):
    """Who decides pieces; see `pipeline.distributed.ray_cluster.Cluster`."""

    @property
    def size(self) -> int:
        """How many at a time."""

    def piece(self, source: Path, piece: Piece, target: Path, *, motion: bool, stop: threading.Event) -> None:
        """Do what `decide_to_file` does, and raise what it raises, or Cancelled once `stop` is set."""


def decide_to_file(
    source: Path,
    piece: Piece,
    settings: Settings,
    target: Path,
    networks: Networks | None = None,
    *,
    motion: bool = False,
    stop: threading.Event | None = None,
) -> None:
    """Find the corrections of a piece and store them in `target`. motion: as `correction_files.write` takes it.

    Raises what a run over the film would, InputError where the film is not the one in which the piece was found, and
    Cancelled once `stop` is set.
    """

    def frames(through: bool) -> Iterator[Corrected[Frame]]:
        return decide_piece(source, piece, settings, networks, through=through, cancel=stop)

    with suppress(Differs):
        records.write(target, frames(through=False), motion=motion)
        return
    try:
        records.write(target, frames(through=True), motion=motion)
    except Differs:
        raise InputError(f"{source}: its frames are not the same each time they are read") from None


class Film:
    """A film on its way through many hands while the block runs; the decider of one run of `pipeline.video.deflicker`.

    motion: whether the run is measured. Raises what probing the film raises, OutputError where another run has it.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        settings: Settings,
        hands: Hands,
        *,
        motion: bool = False,
        on_piece: OnPiece | None = None,
    ) -> None:
        self._source, self._settings, self._hands, self._motion = source, settings, hands, motion
        self._on_piece = on_piece or (lambda how, piece: None)
        self._store = PieceStore(target, settings, motion)
        self._stop = threading.Event()
        self._pieces: queue.SimpleQueue[tuple[Path, Future[None]] | BaseException | None] = queue.SimpleQueue()
        self._frames_done: list[int] = []
        self._pool = ThreadPoolExecutor(hands.size, thread_name_prefix="deflicker-piece")
        self._scout = threading.Thread(target=self._look, name="deflicker-scout", daemon=True)

    def __enter__(self) -> Self:
        self._store.open()
        self._scout.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._scout.join(_JOIN_S)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._store.close(complete=error is None)

    def __call__(
        self, frames: Iterator[Frame], info: VideoInfo, witnesses: Sequence[Witness], tell: OnProgress
    ) -> Generator[Corrected[Frame], None, None]:
        """The correction of every frame, as the pieces come in. `tell` is called while it waits for them."""
        device = choose(self._settings.device, self._settings.precision).torch_device
        found = self._records(device, info, tell)
        if not witnesses:
            yield from (replace(each, item=frame) for frame, each in zip(frames, found, strict=True))
            return
        waiting: deque[Corrected[Frame]] = deque()

        def tracked() -> Iterator[Tracked[Frame]]:
            proxies = with_proxies(frames, info.layout, _preset(info, self._settings), device)
            for (frame, proxy), each in zip(proxies, found, strict=True):
                waiting.append(replace(each, item=frame))
                motion = each.forward_px, each.backward_px
                yield Tracked(frame, proxy, each.opens_shot, each.held, *motion, kept=each.kept)

        through: Iterator[Tracked[Frame]] = tracked()
        for witness in witnesses:
            through = witness.follow(through)
        for _ in through:
            yield waiting.popleft()

    def signed(self, report: Report) -> Report:
        """A run's report, which says who decided."""
        why = f"{self._hands.size} at a time decided {len(self._frames_done)} pieces of it"
        return replace(report, device="workers", device_reason=why)

    def _records(self, device: torch.device, info: VideoInfo, tell: OnProgress) -> Iterator[Corrected[Any]]:
        def wait() -> None:
            tell(Progress("shots", sum(self._frames_done), info.frame_count_hint))

        while True:
            try:
                found = self._pieces.get(timeout=_POLL_S)
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
            yield from records.read(path, device)

    def _look(self) -> None:
        """Find the pieces and hand each out at once. On a thread of its own."""
        try:
            bounds = limits_of(self._settings)
            with (
                take_in(self._source, self._settings, limits=bounds) as intake,
                Reader.of(intake.info, self._settings, limits=bounds, cancel=self._stop) as reader,
            ):
                device = choose(self._settings.device, self._settings.precision).torch_device
                preset = _preset(reader.info, self._settings)
                for piece in find_pieces(reader, self._settings, preset, device):
                    if self._stop.is_set():
                        return
                    path = self._store.path(piece)
                    self._pieces.put((path, self._pool.submit(self._have, piece, path)))
            self._pieces.put(None)
        except BaseException as error:  # raised again where the pieces are waited for
            self._pieces.put(error)

    def _have(self, piece: Piece, path: Path) -> None:
        """See to it that a piece is decided."""
        if self._stop.is_set():
            raise Cancelled("stopped, as asked")
        found = path.exists()
        if not found:
            self._hands.piece(self._source, piece, path, motion=self._motion, stop=self._stop)
        self._frames_done.append(len(piece.part))
        self._on_piece("found" if found else "done", piece)


def _preset(info: VideoInfo, settings: Settings) -> Preset:
    size = frame_bytes(info.width, info.height, info.layout)
    return memory.fit(info.width, info.height, size, settings.plan, settings.max_memory, bytes_of(settings.autoencoder))

"""A film in segments that begin where shots do: found in one cheap pass, and each corrected by itself exactly as in a
run over the whole film. Nothing is carried across a cut, so that is a matter of looking at the same frames."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np
import torch

from deflicker.core.errors import InputError, OutputError
from deflicker.core.memory import QUEUED_FRAMES
from deflicker.core.settings import Settings
from deflicker.core.threads import prefetch
from deflicker.core.values import TimePoint
from deflicker.correction.types import FrameRecord
from deflicker.media.frame import Frame
from deflicker.media.probe import VideoInfo
from deflicker.media.reader import Reader
from deflicker.media.source import open_source
from deflicker.motion.segment import SegmentShots
from deflicker.pipeline.run_context import Models, Run, VideoSize
from deflicker.pipeline.source_pictures import DecodedPicture
from deflicker.pipeline.stages import build_steps, record_of, run_stages, scan_shots
from deflicker.pipeline.store.block_files import PartFile, write_record

MIN_FRAMES = 24
"""Shots are joined until a segment has as many: to seek and to decode from a key frame costs something too."""


@dataclass(frozen=True)
class FrameFingerprint:
    """A frame as it was when the shots were looked for."""

    pts: int
    crc: int
    """CRC-32 of its planes: whoever reads the frame elsewhere can tell that it is the same."""

    @classmethod
    def of(cls, frame: Frame) -> FrameFingerprint:
        """The fingerprint of a decoded frame."""
        found = 0
        for plane in frame.planes:
            found = zlib.crc32(np.ascontiguousarray(plane).data, found)
        return cls(frame.pts, found)


@dataclass(frozen=True)
class Segment:
    """One or more shots of a film."""

    shots: SegmentShots
    frames: tuple[FrameFingerprint, ...]
    seconds: Fraction
    """From the video's first frame to the segment's."""

    @property
    def filename(self) -> str:
        """Of its corrections."""
        return f"{self.shots.first}.{hashlib.sha256(repr(self).encode()).hexdigest()[:12]}.frames"


class SourceChanged(Exception):
    """A frame is not the one that was seen when shots were looked for."""


def find_segments(
    reader: Reader, settings: Settings, size: tuple[int, int], device: torch.device, min_frames: int = MIN_FRAMES
) -> Iterator[Segment]:
    """The segments of a video, in order, each as soon as it is known where it ends.

    reader: opened with the settings' start, end and exclusions. size: of proxies, height and width. min_frames: shots
    are joined until a segment has as many. Raises what reading raises.
    """
    info = reader.info
    waiting: list[tuple[FrameFingerprint, FrameRecord]] = []
    first = gap = 0
    with closing(prefetch(reader.frames(), QUEUED_FRAMES)) as frames:
        pictures = (DecodedPicture.of(frame, info.layout) for frame in frames)
        for record in scan_shots(pictures, settings, size, device):
            # A shot that begins with frames that are skipped has no picture to begin a segment with.
            if record.starts_shot and record.skip is None and len(waiting) >= min_frames:
                yield _segment(waiting, first, gap, info)
                first += len(waiting)
                gap = _skipped_at_the_end(waiting)
                waiting = []
            assert isinstance(record.picture, DecodedPicture)
            waiting.append((FrameFingerprint.of(record.picture.frame), record.decision()))
    if waiting:
        yield _segment(waiting, first, gap, info)


def store_segment(
    source: Path, segment: Segment, settings: Settings, target: Path, work: SegmentWork | None = None
) -> None:
    """Find the corrections of a segment and store them in `target`.

    Raises what a run over the film would, InputError where the film is not the one in which the segment was found,
    Cancelled once it is to stop, and OutputError.
    """
    work = work or SegmentWork()
    for seek in (True, False):
        with suppress(SourceChanged), closing(correct_segment(source, segment, settings, work, seek=seek)) as found:
            _store(target, found, motion=work.motion)
            return
    raise InputError(f"{source}: its frames are not the same each time they are read")


@dataclass(frozen=True, eq=False)
class SegmentWork:
    """What a worker has to do segments with."""

    models: Models | None = None
    """Networks loaded before, to be used again."""
    motion: bool = False
    """How the picture moved is stored too, which only a report asks for."""
    cancel: Event | None = None
    """Once it is set, the next frame raises Cancelled."""


def _store(target: Path, found: Iterable[FrameRecord], *, motion: bool) -> None:
    try:
        with closing(PartFile(target)) as file:
            for record in found:
                write_record(file, record, motion=motion)
            file.complete()
    except OSError as error:
        raise OutputError(f"{target}: corrections cannot be stored there: {error.strerror or error}") from error


def correct_segment(
    source: Path, segment: Segment, settings: Settings, work: SegmentWork, *, seek: bool
) -> Generator[FrameRecord, None, None]:
    """The correction of every frame of a segment of `source`, as a run over the whole film finds it.

    seek: jump to it, instead of decoding all that comes before. Raises SourceChanged where other frames are found
    there: the jump led astray, or the file is another by now.
    """
    shots, options = segment.shots, replace(settings.input(), exclude=())
    seek = seek and shots.first > 0
    if seek:
        options = replace(options, start=TimePoint(seconds=segment.seconds), end=None)
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(source, options))
        reader = stack.enter_context(Reader(opened.info.path, options, info=opened.info, cancel=work.cancel))
        run = Run.prepare(VideoSize.of(reader.info), settings, work.models, lambda _: None)
        frames = stack.enter_context(closing(prefetch(reader.frames(), QUEUED_FRAMES)))
        before = 0 if seek else shots.first
        ours = _checked(islice(frames, before, before + len(shots)), segment)
        steps, device = build_steps(run, reader.info, shots), run.device.torch_device
        found = run_stages(_known(ours, reader.info, segment, run), steps, device, threads=True)
        yield from (each for each in stack.enter_context(closing(found)) if isinstance(each, FrameRecord))


def _known(frames: Iterable[Frame], info: VideoInfo, segment: Segment, run: Run) -> Iterator[FrameRecord]:
    """The frames' records, with what is known of them."""
    for frame, skip in zip(frames, segment.shots.skip, strict=True):
        record = record_of(DecodedPicture.of(frame, info.layout), run.proxy_size, run.device.torch_device)
        yield replace(record, skip=skip)


def _checked(frames: Iterable[Frame], segment: Segment) -> Iterator[Frame]:
    count = 0
    for frame, seen in zip(frames, segment.frames, strict=False):
        if FrameFingerprint.of(frame) != seen:
            raise SourceChanged
        count += 1
        yield frame
    if count < len(segment.frames):
        raise SourceChanged


def _segment(frames: list[tuple[FrameFingerprint, FrameRecord]], first: int, gap: int, info: VideoInfo) -> Segment:
    fingerprints, records = zip(*frames, strict=True)
    shots = SegmentShots(
        first,
        tuple(record.starts_shot for record in records),
        tuple(record.is_duplicate for record in records),
        tuple(record.skip for record in records),
        gap,
    )
    return Segment(shots, fingerprints, (fingerprints[0].pts - info.first_pts) * info.time_base)


def _skipped_at_the_end(frames: list[tuple[FrameFingerprint, FrameRecord]]) -> int:
    count = 0
    for _, record in reversed(frames):
        if record.skip is None:
            break
        count += 1
    return count

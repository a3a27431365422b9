"""Frames out of a file: streamed, each exactly once, with the exact time the file gives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self, TypeAlias

import av

from deflicker.core.errors import Cancelled, InputError, SettingsError
from deflicker.core.options import ReadOptions
from deflicker.core.values import TimePoint
from deflicker.media.damage import DamageLog, TruncationCheck
from deflicker.media.deinterlace import DEINTERLACED, INTERLACED, Deinterlacer, deinterlaced
from deflicker.media.demux import open_input, packets
from deflicker.media.discontinuity import JOINED, Joiner, may_be_joined
from deflicker.media.frame import Frame
from deflicker.media.planes import EXACT_SCALING, canonical_format, planes_of
from deflicker.media.probe import VideoInfo, decoder_of_name, open_decoder, probe, video_stream
from deflicker.media.trim import PacketTrimmer

Packet: TypeAlias = "av.Packet[Any]"  # quoted: generic for type checkers only
OnPacket = Callable[[Packet], None]

_SEEK_MARGIN_S = 1
_FLUSH_TRIES = 64


class Reader:
    """Decode one video.

    ```python
    with Reader("in.mp4") as reader:
        for frame in reader.frames(on_packet=writer.copy):
            ...
    ```

    Frames in a part to exclude come marked as such (`Frame.excluded`). If the decoder asked for does not run, FFmpeg's
    default does, and a note says so. `info`: what `probe` found, if that is known. Once `cancel` is set, the next frame
    raises Cancelled. Raises InputError as `probe` does.
    """

    def __init__(
        self,
        path: str | Path,
        options: ReadOptions = ReadOptions(),
        *,
        info: VideoInfo | None = None,
        cancel: Event | None = None,
    ) -> None:
        info = info or probe(path, options.limits)
        self.info = deinterlaced(info) if options.deinterlace else info
        """What comes out: of an interlaced video that is deinterlaced, progressive pictures."""
        self._cancel = cancel
        self.shift = Fraction(0)
        """Seconds to take off every time stamp of the output; known once the first frame is out."""
        start = options.start
        self._start = start if start and (start.seconds or start.frame) else None
        self._end, self._exclude, self._decoder = options.end, options.exclude, options.decoder
        self._counts: Counter[str] = Counter()
        self._limits = options.limits
        self._damage = DamageLog(self.info.path, strict=options.limits.strict)
        self._open()
        self._previous_pts: int | None = None
        self._decoding = True
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._container = open_input(self.info.path, self._limits, self.info.input_format)
        self._stream = video_stream(self._container, self.info.path, self._limits)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the input; complete once the frames are out."""
        found = (f"{text} ({count} times)" if count > 1 else text for text, count in self._counts.items())
        fields = [INTERLACED] * self.info.interlaced + [DEINTERLACED] * self.info.deinterlaced
        return (*self.info.notes, *fields, *found)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes, and damage as messages."""
        damage = (f"damaged: {what}{f' ({count} times)' if count > 1 else ''}" for what, count in self.damage)
        return (*self.notes, *damage)

    @property
    def damage(self) -> tuple[tuple[str, int], ...]:
        """What is damaged in the input, and how often; complete once the frames are out."""
        return self._damage.found

    def frames(self, on_packet: OnPacket | None = None) -> Iterator[Frame]:
        """Every kept frame in the order shown; can be called once.

        Packets of all other streams go to `on_packet` as they are read, on the thread that iterates. Damaged data is
        skipped and counted. Raises InputError where nothing decodes or, where limits are strict, anything is damaged;
        SettingsError where `start` lies past the end.
        """
        if self._started:
            raise ValueError("frames() can be called once per Reader")
        self._started = True
        trimmer = PacketTrimmer(on_packet, trimmed_start=self._start is not None, trimmed_end=self._end is not None)
        seen = kept = 0
        for event in self._from_start():
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled("stopped on request")
            if isinstance(event, av.Packet):
                trimmer.add_packet(event)
                if trimmer.finished(self._stream.index, self._other_audio):
                    break
                continue
            pts = self._exact_pts(event)
            seconds = pts * self.info.time_base
            if self._is_before(self._start, seen, pts):
                trimmer.skip_frame(seconds)
            elif self._end and not self._is_before(self._end, seen, pts):
                self._decoding = False
                trimmer.end_at(seconds)
            elif self._decoding:
                if kept == 0:
                    self.shift = seconds if self._start else Fraction(0)
                    trimmer.start_at(seconds)
                trimmer.keep_frame(seconds)
                yield self._frame(
                    event, kept, pts, excluded=any(span.holds(seen, self._seconds(pts)) for span in self._exclude)
                )
                kept += 1
            seen += 1
        trimmer.finish()
        self._check(seen, kept)

    def _check(self, seen: int, kept: int) -> None:
        if not seen:
            raise InputError(f"{self.info.path}: no frame could be decoded: the file is damaged")
        if not kept:
            raise SettingsError(f"no frame lies between start and end: the video has {seen} frames")

    @property
    def _other_audio(self) -> frozenset[int]:
        return frozenset(s.index for s in self._container.streams.audio)

    def _is_before(self, point: TimePoint | None, index: int, pts: int) -> bool:
        """Whether a frame of the source lies before a point."""
        return point is not None and point.is_after(index, self._seconds(pts))

    def _seconds(self, pts: int) -> Fraction:
        return (pts - self.info.first_pts) * self.info.time_base

    def _from_start(self) -> Iterator[av.VideoFrame | av.Packet[Any]]:
        """Packets and pictures, from the key frame before `start` where that is safe to jump to."""
        target = self._seek_target()
        if target is None:
            yield from self._events()
            return
        try:
            self._container.seek(target - round(_SEEK_MARGIN_S / self.info.time_base), stream=self._stream)
            jumped = self._events()
            early: list[av.VideoFrame | av.Packet[Any]] = []
            for event in jumped:
                early.append(event)
                if isinstance(event, av.VideoFrame):
                    break
            landed = early[-1].pts if early and isinstance(early[-1], av.VideoFrame) else None
        except av.FFmpegError:
            landed = None
        if landed is not None and landed <= target:
            yield from early
            yield from jumped
            return
        # The index is wrong or missing: decode through instead, from a fresh start.
        self._counts.clear()
        self._damage.clear()
        self._container.close()
        self._open()
        yield from self._events()

    def _seek_target(self) -> int | None:
        """The pts to jump to, or None where frames must be counted from the first or a jump is not worth it."""
        points = [self._end, *(point for span in self._exclude for point in (span.start, span.end))]
        start, by_frame = self._start, any(point is not None and point.frame is not None for point in points)
        if start is None or start.seconds is None or start.seconds < 2 * _SEEK_MARGIN_S or by_frame:
            return None
        if may_be_joined(self._container):  # the same time may occur in several parts
            return None
        return self.info.first_pts + int(start.seconds / self.info.time_base)

    def _events(self) -> Iterator[av.VideoFrame | av.Packet[Any]]:
        """Everything in the file, in the order read: pictures of the video stream, packets of the others."""
        decoder = self._open_decoder()
        self._deinterlacer = Deinterlacer(self.info.time_base) if self.info.deinterlaced else None
        failures: list[str] = []
        truncation = TruncationCheck(self._container, self._stream)
        joiner = Joiner()
        for packet in packets(self._container, losses=failures, joiner=joiner):
            truncation.on_packet(packet)
            if packet.stream_index != self._stream.index:
                if packet.size:
                    yield packet
            elif not self._decoding:
                yield packet
            elif packet.size:
                yield from self._decode(decoder, packet)
        if joiner.joins:
            self._counts[JOINED] = 1
        for failure in failures:
            self._damage.add(f"part of the file could not be read: {failure}")
        if early := truncation.early:
            self._damage.add(early)
        for _ in range(_FLUSH_TRIES):
            errors = len(self._damage)
            yield from self._decode(decoder, None)
            if len(self._damage) == errors:
                break
        if self._deinterlacer is not None:
            yield from self._deinterlacer.finish()

    def _open_decoder(self) -> av.VideoCodecContext:
        if self._decoder:
            found = decoder_of_name(self._decoder, self._stream, self._limits)
            if not isinstance(found, str):
                return found
            self._counts[f"the decoder {self._decoder} does not run here ({found}): FFmpeg's default was used"] = 1
        return open_decoder(self._stream, self._limits)

    def _decode(self, decoder: av.VideoCodecContext, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        if packet is not None and packet.is_corrupt:
            self._damage.add("a damaged packet of the video was read")
        try:
            decoded = decoder.decode(packet)
            if self._deinterlacer is None:
                return decoded
            return [each for picture in decoded for each in self._deinterlacer.push(picture)]
        except av.error.EOFError:
            return []
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._damage.add(f"a damaged part of the video was skipped: {reason}")
            return []

    def _exact_pts(self, picture: av.VideoFrame) -> int:
        """The picture's own time stamp; the next likely one where it has none, the next free one where it goes back."""
        previous, pts = self._previous_pts, picture.pts
        if pts is None:
            rate = self.info.average_rate or Fraction(25)
            step = max(1, round(1 / (rate * self.info.time_base)))
            pts = self.info.first_pts if previous is None else previous + step
            self._counts["a frame without a time stamp got one from the frame rate"] += 1
        if previous is not None and pts <= previous:
            pts = previous + 1
            self._counts["a time stamp that does not increase was moved after the previous one"] += 1
        self._previous_pts = pts
        return pts

    def _frame(self, picture: av.VideoFrame, index: int, pts: int, *, excluded: bool) -> Frame:
        info = self.info
        if picture.interlaced_frame and not info.interlaced:
            self._counts["an interlaced picture of a video that begins progressive was left as it is"] += 1
        if picture.is_corrupt:
            self._damage.add("a damaged frame was kept as the decoder repaired it")
        same_format = canonical_format(picture.format.name) == canonical_format(info.pix_fmt)
        if (picture.width, picture.height) != (info.width, info.height) or not same_format:
            self._counts["a frame of another size or pixel format was converted to that of the first"] += 1
            picture = picture.reformat(info.width, info.height, info.pix_fmt, interpolation=EXACT_SCALING)
        return Frame(
            index=index,
            pts=pts,
            time_base=info.time_base,
            planes=planes_of(picture),
            duration=picture.duration or 0,
            key_frame=bool(picture.key_frame),
            excluded=excluded,
            shift=self.shift,
        )

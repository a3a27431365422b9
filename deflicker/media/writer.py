"""Frames into a file: encoded beside the copied streams, complete or not there at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av

from deflicker.core.errors import DeflickerError, OutputError
from deflicker.core.options import EncodeOptions
from deflicker.media.destination import Destination
from deflicker.media.encode_plan import plan_encoding
from deflicker.media.frame import Frame
from deflicker.media.muxer import Output
from deflicker.media.palette import Palette
from deflicker.media.planes import convert
from deflicker.media.probe import VideoInfo
from deflicker.media.remux import may_copy


class Writer:
    """Encode one video.

    ```python
    with Reader("in.mp4") as reader, Writer("out.mp4", reader.info, options) as writer:
        for frame in reader.frames(on_packet=writer.copy):
            writer.write(frame)
    ```

    The file appears at `target` when the `with` block ends without an exception, and never otherwise. All methods
    must be called from one thread at a time. Raises OutputError where `target` cannot be written, SettingsError
    where an encoder option cannot be used. A `dry_run` does all of this in memory and leaves no file.
    """

    def __init__(
        self, target: Destination, info: VideoInfo, options: EncodeOptions = EncodeOptions(), *, dry_run: bool = False
    ) -> None:
        self._info = info
        self._output = Output(target, info, options, dry_run=dry_run)
        try:
            self._encoding = plan_encoding(info, self._output.format, self._output.path, options)
            self._stream: Any = self._output.container.add_stream(
                self._encoding.encoder, rate=info.average_rate or Fraction(25)
            )
            self._encoding.apply(self._stream.codec_context, info, self._output.format)
            self._output.copy_video_tags(self._stream)
            self._output.dropped += [f"{what}: the encoders here cannot store it" for what in info.unsupported_metadata]
            if info.interlaced:
                self._output.dropped.append(
                    "the interlaced flag: both fields are kept, but players will not separate them"
                )
            if info.hdr and info.hdr.options(self.codec):
                self._output.copied.append("mastering-display metadata")
            elif info.hdr:
                self._output.dropped.append(f"mastering-display metadata: {self.codec} cannot write it")
            self._stream.codec_context.open()
            self._output.add_other_streams()
            self._may_copy = may_copy(self._output, info, options)
            if not self._may_copy:
                self._output.confirm()
        except BaseException:
            self._output.discard()
            raise
        paletted = self._encoding.pixels.pix_fmt == "pal8"
        self._palette = Palette(info.width, info.height) if paletted else None
        self._held: list[av.Packet[Any]] = []
        self._shift: Fraction | None = None
        self._last_pts: int | None = None
        self._last_delay = Fraction(0)
        self._durations: dict[int, int] = {}
        self._frames = self._packets = 0
        self._saw_transparency = False

    @classmethod
    def try_out(cls, target: Destination, info: VideoInfo, options: EncodeOptions) -> None:
        """Check in memory whether the output can be started. Raises as a Writer would."""
        writer = cls(target, info, options, dry_run=True)
        try:
            with writer._clear_errors():
                writer._output.container.start_encoding()
        finally:
            writer.discard()

    @property
    def codec(self) -> str:
        """The encoder's FFmpeg name."""
        return self._encoding.encoder

    @property
    def encoding(self) -> str:
        """The encoder with its settings, in words."""
        return self._encoding.description

    @property
    def copied(self) -> tuple[str, ...]:
        """Streams and tags carried over, in words."""
        return tuple(self._output.copied)

    @property
    def dropped(self) -> tuple[str, ...]:
        """What the output does not hold, each with its reason."""
        alpha = f"transparency: {self.codec} with {self._encoding.pixels.pix_fmt} has no alpha channel"
        return (*self._output.dropped, *([alpha] if self._saw_transparency else []))

    @property
    def notes(self) -> tuple[str, ...]:
        """Anything else the user should know."""
        return (*self._encoding.notes, *self._output.notes)

    def confirm(self) -> None:
        """Say that a frame was changed, so that the encoded frames will be the output and not the source's packets."""
        self._output.confirm()

    def note_failed_copy(self) -> None:
        """Say, where it was not to be expected, that no packet copy shows the source's pictures."""
        if self._may_copy:
            self._output.notes.append(
                f"nothing was changed, but copied packets would not show the same pictures at the same times in a "
                f"{self._output.format} file, so they were encoded"
            )

    def copy(self, packet: av.Packet[Any]) -> None:
        """Carry over one packet of another stream of the source."""
        if self._shift is None:  # only the first frame tells by how much to shift
            self._held.append(packet)
            return
        with self._clear_errors():
            self._output.copy(packet, self._shift)

    def write(self, frame: Frame) -> None:
        """Encode one frame: planes as `info.layout` says, times as the reader gave them.

        Raises ValueError where the planes do not fit the layout, OutputError where writing fails.
        """
        if self._shift is None:
            self._begin(frame.shift)
        pixels = self._encoding.pixels
        self._note_transparency(frame)
        picture: Any = self._picture(frame)
        picture.pts, picture.time_base = self._ticks(frame), self._encoding.time_base
        picture.colorspace, picture.color_range = pixels.matrix_tag, pixels.range_tag
        self._last_delay = frame.duration * frame.time_base
        self._durations[picture.pts] = round(frame.duration * frame.time_base / self._encoding.time_base)
        self._frames += 1
        with self._clear_errors():
            self._mux(self._stream.encode(picture))

    def _picture(self, frame: Frame) -> av.VideoFrame:
        pixels = self._encoding.pixels
        if self._palette is None:
            return convert(frame.planes, self._info.layout, pixels.pix_fmt, to=pixels.layout)
        return self._palette.apply(convert(frame.planes, self._info.layout, "bgra", to=pixels.layout))

    def _begin(self, shift: Fraction) -> None:
        self._shift = shift
        self._output.set_chapters(shift)
        # `shift` makes the output begin at 0; what it leaves out is what comes before the first picture.
        self._output.advance_timecode(
            self._stream, max(Fraction(0), shift - self._info.first_pts * self._info.time_base)
        )
        held, self._held = self._held, []
        for packet in held:
            self.copy(packet)

    def _ticks(self, frame: Frame) -> int:
        """The frame's time in the encoder's time base, behind the one before."""
        ticks = (frame.pts * frame.time_base - frame.shift) / self._encoding.time_base
        pts = round(ticks)
        if self._last_pts is not None:
            pts = max(pts, self._last_pts + 1)
        self._last_pts = pts
        return pts

    def _note_transparency(self, frame: Frame) -> None:
        layout = self._info.layout
        if layout.has_alpha and not self._encoding.pixels.layout.has_alpha and not self._saw_transparency:
            self._saw_transparency = bool((frame.planes[-1] < (1 << layout.bit_depth) - 1).any())

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
        self._packets += len(packets)
        for packet in packets:
            # The muxer knows how long the last picture lasts from nowhere else.
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            packet.duration = duration or packet.duration
        self._output.container.mux(packets)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"{self._output.path} could not be written by {self.codec}: {reason}") from error

    def close(self) -> None:
        """Finish the file and move it to its place. Raises DeflickerError where the encoder lost frames."""
        try:
            if not self._frames:
                raise DeflickerError(f"{self._output.path} was not written: there was no frame to write")
            with self._clear_errors():
                self._mux(self._stream.encode(None))
                if self._packets != self._frames and self.codec != "libwebp_anim":  # which makes one of all
                    raise DeflickerError(f"{self.codec} made {self._packets} pictures for {self._frames} frames")
                self._output.finish(last_delay=self._last_delay)
        except BaseException:
            self._output.discard()
            raise

    def discard(self) -> None:
        """Abort and remove the unfinished file."""
        self._output.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

"""The other streams: audio, subtitles, attachments, data, more videos. Copied, or dropped with a reason."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from deflicker.media.audio import AudioTranscoder
from deflicker.media.probe import as_fraction, describe_stream, is_cover
from deflicker.media.subtitles import TEXT_CODECS, payload_of, text_of

_OWN_TAGS = {"encoder", "duration", "vendor_id", "alpha_mode", "major_brand", "minor_version", "compatible_brands"}
"""Tags that describe the source file itself and would be wrong in another."""

PICTURES_ONLY = ("image2", "gif", "webp", "apng", "yuv4mpegpipe", "rawvideo")
"""Formats that hold pictures only; some of their muxers accept other streams without complaint."""

HOLD_TIMECODE = ("mov", "mp4", "mxf")
"""Formats whose muxers write a track or header of time codes."""

Handler = Callable[["av.Packet[Any]", Fraction], None]


def accepts(container: str, template: Any) -> bool:
    """Whether a container format takes a packet copy of a stream; found out by writing a header to memory."""
    if container == "rawvideo" and template.codec_context.name != "rawvideo":
        return False  # its muxer takes anything
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        stream: Any = trial.add_stream_from_template(template, opaque=True)
        stream.disposition = template.disposition
        keep_rate(template, stream, container)
        trial.start_encoding()
    except (av.FFmpegError, ValueError, MemoryError):
        return False
    finally:
        with contextlib.suppress(av.FFmpegError):  # an empty file may be no valid one
            trial.close()
    return True


def copy_tags(source: Any, target: Any) -> None:
    """Copy metadata, less what only describes the source file."""
    kept = {k: v for k, v in source.metadata.items() if k.lower() not in _OWN_TAGS and not k.startswith("_STATISTICS")}
    target.metadata.update(kept)


def copy_stream_tags(source: Any, target: Any) -> None:
    """Copy metadata with language and title, and the disposition."""
    copy_tags(source, target)
    target.disposition = source.disposition


class StreamCopier:
    """Maps each stream of `source` but `video_index` to one of `output`, before the header is written."""

    def __init__(self, source: av.container.InputContainer, output: Any, video_index: int) -> None:
        self.copied: list[str] = []
        self.dropped: list[str] = []
        self.notes: list[str] = []
        self._source = source
        self._video_index = video_index
        self._output = output
        self._format: str = output.format.name
        self._handlers: dict[int, Handler] = {}
        self._transcoders: list[AudioTranscoder] = []
        self._clock = TimestampFixer()
        for stream in source.streams:
            if stream.index != video_index:
                self._add(stream)

    def copy(self, packet: av.Packet[Any], shift: Fraction) -> None:
        """Write one packet of the source, `shift` seconds earlier."""
        handler = self._handlers.get(packet.stream_index)
        if handler and packet.size:
            handler(packet, shift)

    @property
    def moved(self) -> int:
        """Packets whose time had to be changed."""
        return self._clock.moved

    def finish(self) -> None:
        """Write what the audio encoders still hold."""
        for transcoder in self._transcoders:
            self._output.mux(transcoder.finish())

    def _add(self, stream: Any) -> None:
        """Choose what becomes of one stream."""
        chapter_titles = stream.type == "data" and getattr(stream, "name", None) in ("bin_data", "text")
        if chapter_titles and self._source.chapters():
            return  # the muxer writes MP4's anew
        if self._format in PICTURES_ONLY:
            self._drop(stream, f"a {self._format} file holds pictures only")
        elif stream.type == "data" and stream.codec_context is None and (code := stream.metadata.get("timecode")):
            self._keep_timecode(stream, code)
        elif stream.type == "video" and is_cover(stream) and self._format in ("matroska", "webm"):
            self._attach_cover(stream)
        elif stream.codec_context is None and stream.type not in ("attachment", "data"):
            self._drop(stream, "its codec is not described in the file, or unknown here")
        elif self._lacks_setup(stream):
            self._drop(stream, "what a decoder must know to begin is missing or damaged in the file")
        elif accepts(self._format, stream):
            self._pass_on(stream)
        elif not (self._transcode(stream) or self._convert(stream)):
            self._drop(stream, f"a {self._format} file cannot hold it")

    def _drop(self, stream: Any, reason: str) -> None:
        self.dropped.append(f"{describe_stream(stream)}: {reason}")

    def _keep_timecode(self, stream: Any, code: str) -> None:
        """A track of time codes, which muxers make anew of the video's tag."""
        tagged = self._source.streams[self._video_index].metadata.get("timecode") == code
        if tagged and self._format in (*HOLD_TIMECODE, "matroska", "webm"):
            self.copied.append(f"timecode {code}{'' if self._format in HOLD_TIMECODE else ', as a tag'}")
        else:
            self._drop(stream, f"timecode {code}: a {self._format} file cannot hold it")

    def _lacks_setup(self, stream: Any) -> bool:
        """Whether it is AAC without its set-up, which Matroska's muxer refuses only once packets come."""
        codec = stream.codec_context
        if self._format not in ("matroska", "webm") or codec is None or codec.name != "aac" or codec.extradata:
            return False
        first = next((bytes(packet) for packet in _fresh_packets(self._source, stream.index) if packet.size), b"")
        return not first.startswith((b"\xff", b"\x56"))  # ADTS and LOAS bring it with every packet

    def _pass_on(self, stream: Any) -> None:
        target = self._output.add_stream_from_template(stream, opaque=True)
        copy_stream_tags(stream, target)
        keep_rate(stream, target, self._format)
        self.copied.append(describe_stream(stream))
        strict = stream.type in ("audio", "video")
        lead = lead_of(stream)
        is_picture = stream.type == "video" and is_cover(stream)
        # MP4 fills the gaps between words with empty ones, and its muxer does so anew.
        gaps = stream.type == "subtitle" and stream.codec_context.codec.canonical_name == "mov_text"

        def handle(packet: av.Packet[Any], shift: Fraction) -> None:
            if gaps and bytes(packet) == b"\0\0":
                return
            if is_picture and packet.pts is None:
                packet.pts = packet.dts = 0
            if not self._clock.stamp(packet, shift, strict=strict, lead=lead):
                return
            packet.stream = target
            self._output.mux(packet)

        self._handlers[stream.index] = handle

    def _attach_cover(self, stream: Any) -> None:
        """Matroska keeps pictures as attached files; the packet holds the file."""
        if self._format == "webm":
            self._drop(stream, "a webm file holds no attachments")
            return
        data = next((bytes(p) for p in _fresh_packets(self._source, stream.index) if p.size), b"")
        codec = stream.codec_context.name if stream.codec_context else "mjpeg"
        name = stream.metadata.get("filename", "cover.png" if codec == "png" else "cover.jpg")
        mimetype = stream.metadata.get("mimetype", "image/png" if codec == "png" else "image/jpeg")
        self._output.add_attachment(name, mimetype, data)
        self.copied.append(describe_stream(stream))

    def _transcode(self, stream: Any) -> bool:
        transcoder = AudioTranscoder.between(stream, self._output) if stream.type == "audio" else None
        if transcoder is None:
            return False
        copy_stream_tags(stream, transcoder.stream)
        self._transcoders.append(transcoder)
        codec = stream.codec_context.codec.canonical_name
        self.notes.append(
            f"{describe_stream(stream)}: a {self._format} file cannot hold {codec}; encoded as {transcoder.encoder}"
        )
        self._handlers[stream.index] = lambda packet, shift: self._output.mux(transcoder.convert(packet, shift))
        return True

    def _convert(self, stream: Any) -> bool:
        """Text subtitles in another wrapping."""
        if stream.type != "subtitle":
            return False
        codec = stream.codec_context.codec.canonical_name
        wanted = {"mp4": "mov_text", "mov": "mov_text", "ipod": "mov_text", "matroska": "subrip", "webm": "webvtt"}
        new = wanted.get(self._format)
        if codec not in TEXT_CODECS or new is None:
            return False
        target = self._output.add_mux_stream(new)
        target.time_base = as_fraction(stream.time_base) or Fraction(1, 1000)
        copy_stream_tags(stream, target)
        self.copied.append(f"{describe_stream(stream)} (as {new}, without styling)")

        def handle(packet: av.Packet[Any], shift: Fraction) -> None:
            text = text_of(bytes(packet), codec)
            if not text or not self._clock.stamp(packet, shift, strict=False):
                return
            made: Any = av.Packet(payload_of(text, new))
            made.time_base, made.pts, made.dts, made.duration = (
                packet.time_base,
                packet.pts,
                packet.dts,
                packet.duration,
            )
            made.stream = target
            self._output.mux(made)

        self._handlers[stream.index] = handle
        return True


def _fresh_packets(source: av.container.InputContainer, index: int) -> Any:
    """The first packets of one stream; attached pictures come before all else."""
    for count, packet in enumerate(source.demux()):
        if packet.stream_index == index:
            yield packet
        if count > 1000:
            return


def keep_rate(source: Any, target: Any, container: str) -> None:
    """Set the frame rate of a copied video stream for muxers that need it.

    Matroska's takes the last picture's duration from it; MXF's refuses a stream without one.
    """
    rate = as_fraction(source.average_rate or source.guessed_rate) if source.type == "video" else None
    if rate and container in ("matroska", "webm", "mxf"):
        target.codec_context.framerate = rate


def lead_of(stream: Any) -> int:
    """By how many ticks a video stream's dts runs ahead of its pts; Matroska leaves the first ones out."""
    if stream.type != "video" or stream.codec_context is None:
        return 0
    rate, base = as_fraction(stream.average_rate), as_fraction(stream.time_base)
    return round(stream.codec_context.reorder_depth / rate / base) if rate and base else 0


class TimestampFixer:
    """Makes decode time stamps increase strictly, per stream, as muxers demand."""

    def __init__(self) -> None:
        self._last_dts: dict[int, int] = {}
        self.moved = 0
        """Packets whose presentation time was changed because it did not increase."""

    def stamp(self, packet: av.Packet[Any], shift: Fraction, *, strict: bool, lead: int = 0) -> bool:
        """Shift a packet in time and keep its dts increasing, as muxers demand; False where it has no time at all."""
        if packet.pts is None and packet.dts is None:
            return False
        if shift:
            ticks = round(shift / (as_fraction(packet.time_base) or Fraction(1)))
            packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.dts = None if packet.dts is None else packet.dts - ticks
        last = self._last_dts.get(packet.stream_index)
        if packet.dts is None and packet.pts is not None:
            packet.dts = packet.pts - lead if last is None else min(packet.pts, last + 1)
        assert packet.dts is not None
        if strict and last is not None and packet.dts <= last:
            packet.dts = last + 1
            if packet.pts is None or packet.pts < packet.dts:
                packet.pts = packet.dts
                self.moved += 1
        self._last_dts[packet.stream_index] = packet.dts
        return True

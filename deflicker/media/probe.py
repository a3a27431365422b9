"""What a file holds: opened, its first picture decoded, nothing kept open."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.sidedata.sidedata import Type as SideDataType

from deflicker.core.errors import InputError
from deflicker.core.options import MAX_PIXELS, Limits
from deflicker.media.demux import open_input, packets, predecoded_codec
from deflicker.media.frame import PlaneLayout
from deflicker.media.hdr import HdrMetadata, hdr_of, side_data_of, unsupported_metadata
from deflicker.media.input_format import InputFormat, detect_input_format
from deflicker.media.planes import canonical_format, layout_of, planes_of

_HUGE_PIXELS = 1 << 26
"""8K has half of it."""
_PROBE_PACKETS = 2000
_RATE_SAMPLES = 64
_COMMON_RATES = [Fraction(n) for n in (8, 10, 12, 15, 16, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)]
_COMMON_RATES += [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)]


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """The video stream that gets processed, and what lies beside it. Tags are FFmpeg's numbers (AVCOL_*)."""

    path: Path
    container: tuple[str, ...]
    """FFmpeg's names of the container format, such as ("matroska", "webm")."""
    stream_index: int
    stream_id: int
    """What the container itself calls the stream."""
    codec: str
    """Codec family: h264, hevc, av1, vp9, …"""
    decoder: str
    width: int
    height: int
    pix_fmt: str
    """As decoded; `layout` describes the planes made of it."""
    layout: PlaneLayout
    transparent: bool
    """Some of the first picture's alpha plane is not opaque; False without one."""
    time_base: Fraction
    """Seconds per tick of `Frame.pts`."""
    first_pts: int
    average_rate: Fraction | None
    """Frames per second; a guess from the time stamps where the container says none or lies."""
    frame_count_hint: int | None
    """What the container says; may be wrong."""
    duration_s: float | None
    rotation: int
    """Degrees counter-clockwise by which players turn the picture; frames are not turned."""
    display_matrix: tuple[int, ...] | None
    """The nine numbers that `rotation` sums up."""
    sample_aspect_ratio: Fraction | None
    color_primaries: int
    color_trc: int
    colorspace: int
    color_range: int
    interlaced: bool
    """The first picture holds two fields."""
    hdr: HdrMetadata | None
    """Mastering display and light level, as the first frame says."""
    unsupported_metadata: tuple[str, ...]
    """What the first picture carries that is lost where it is encoded anew, in words."""
    other_streams: tuple[str, ...]
    """In words."""
    notes: tuple[str, ...]
    deinterlaced: bool = False
    """The reader makes progressive pictures of interlaced ones."""
    input_format: InputFormat = field(default_factory=InputFormat)
    """The demuxer and options that the file needs, where it does not say them itself."""


def probe(path: str | Path, limits: Limits = Limits(), input_format: InputFormat | None = None) -> VideoInfo:
    """Read what `path` holds and decode its first picture. `input_format`: detected if None.

    Raises InputError where it cannot be read, holds no video, or nothing of it decodes, and what `limits` raise.
    """
    path = Path(path)
    input_format = input_format or detect_input_format(path)
    with open_input(path, limits, input_format) as container:
        stream = video_stream(container, path, limits)
        frame, pts = _first_frame(container, stream, path, limits)
        return replace(
            _describe(path, container, stream, frame, pts, rate=input_format.rate), input_format=input_format
        )


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a still picture attached to the file."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def has_alpha_track(stream: Any) -> bool:
    """Whether Matroska says that a VP8 or VP9 stream carries its alpha channel beside the pictures."""
    return any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())


def video_stream(container: av.container.InputContainer, path: Path, limits: Limits = Limits()) -> av.VideoStream:
    """The stream to process: the first that is not cover art. Raises InputError where there is none."""
    streams = [s for s in container.streams.video if not is_cover(s)]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise InputError(f"{path} has no video stream (it holds: {kinds}): choose a file with pictures")
    stream = streams[0]
    if stream.codec_context is None:
        raise InputError(f"{path}: no decoder for its video stream: convert it to a common codec first")
    limits.check(path, stream.codec_context.width, stream.codec_context.height)
    return stream


def decoder_options(limits: Limits) -> dict[str, str]:
    """For FFmpeg's decoders."""
    return {"max_pixels": str(limits.pixels)} | ({"err_detect": "explode"} if limits.strict else {})


def open_decoder(stream: av.VideoStream, limits: Limits = Limits()) -> av.VideoCodecContext:
    """A decoder for `stream` with as many threads as it likes, which refuses pictures beyond the limits."""
    context: Any = stream.codec_context
    if has_alpha_track(stream) and context.name in ("vp8", "vp9"):
        # FFmpeg's own VP8/VP9 decoders leave the alpha channel out.
        context = av.CodecContext.create("libvpx" if context.name == "vp8" else "libvpx-vp9", "r")
        context.extradata = stream.codec_context.extradata
    else:
        # Every thread of a frame-threaded decoder holds frames of its own.
        context.thread_type = "SLICE" if context.width * context.height > _HUGE_PIXELS else "AUTO"
    context.options = decoder_options(limits)
    return context  # type: ignore[no-any-return]


def decoder_of_name(name: str, stream: av.VideoStream, limits: Limits) -> av.VideoCodecContext | str:
    """The decoder that FFmpeg calls so, open for `stream`; in words why not, where it cannot be had here."""
    try:
        codec, wanted = av.Codec(name, "r"), stream.codec_context.codec.canonical_name
        if codec.canonical_name != wanted:
            return f"it does not decode {wanted}"
        context: Any = codec.create("video")
        context.extradata, context.options = stream.codec_context.extradata, decoder_options(limits)
        context.width, context.height = stream.codec_context.width, stream.codec_context.height
        context.open()
    except av.codec.codec.UnknownCodecError:
        return "no decoder has this name"
    except (av.FFmpegError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return context  # type: ignore[no-any-return]


def _first_frame(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, limits: Limits
) -> tuple[av.VideoFrame, list[int]]:
    """The first picture that decodes, and the time stamps of the packets around it."""
    decoder, pts, reason = open_decoder(stream, limits), [], ""
    frame: av.VideoFrame | None = None
    seen = 0
    for packet in packets(container):
        if packet.stream_index != stream.index:
            continue
        seen += 1
        if packet.pts is not None and not packet.is_discard:
            pts.append(packet.pts)
        if frame is None:
            try:
                frame = next(iter(decoder.decode(packet if packet.size else None)), None)
            except (av.FFmpegError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
        if seen >= (_RATE_SAMPLES if frame else _PROBE_PACKETS):
            break
    if frame is None:
        name, hidden = stream.codec_context.name, stream.codec_context.width == 0
        # FFmpeg says 0 x 0 for what is beyond its bound as well as for what it cannot read.
        bound = ", or its pictures are larger than --max-memory allows" if hidden and limits.pixels < MAX_PIXELS else ""
        reason = reason or "there is none, or an edit list hides them all"
        raise InputError(f"{path}: no picture of its {name} stream decodes ({reason}): the file is damaged{bound}")
    limits.check(path, frame.width, frame.height)
    return frame, pts


def _describe(
    path: Path, container: Any, stream: Any, frame: av.VideoFrame, packet_pts: list[int], *, rate: Fraction | None
) -> VideoInfo:
    context = stream.codec_context
    time_base = as_fraction(stream.time_base) or Fraction(1, 1000)
    notes = _notes(frame, stream)
    rate, doubt = (rate, "") if rate else _rate(as_fraction(stream.average_rate), packet_pts, time_base)
    if doubt:
        notes.append(doubt)
    duration = _duration(container, stream, time_base)
    count = stream.frames or (round(duration * rate) if duration and rate else None)
    tags = {name: getattr(frame, name) or getattr(context, name) for name in _TAGS}
    if has_alpha_track(stream) and frame.format.name.startswith("yuva"):
        notes.append("the VP8/VP9 alpha channel is decoded with libvpx")
    sample_aspect = as_fraction(stream.sample_aspect_ratio) or as_fraction(context.sample_aspect_ratio)
    layout = layout_of(
        frame.format.name, height=frame.height, matrix_tag=tags["colorspace"], range_tag=tags["color_range"]
    )
    return VideoInfo(
        path=path,
        container=tuple(container.format.name.split(",")),
        stream_index=stream.index,
        stream_id=stream.id,
        codec=predecoded_codec(path) or context.codec.canonical_name,
        decoder=context.name,
        width=frame.width,
        height=frame.height,
        pix_fmt=frame.format.name,
        layout=layout,
        transparent=layout.has_alpha and bool((planes_of(frame)[-1] < (1 << layout.bit_depth) - 1).any()),
        time_base=time_base,
        first_pts=frame.pts if frame.pts is not None else min(packet_pts, default=0),
        average_rate=rate,
        frame_count_hint=count or None,
        duration_s=duration,
        rotation=frame.rotation,
        display_matrix=_display_matrix(frame),
        sample_aspect_ratio=sample_aspect if sample_aspect and sample_aspect > 0 else None,
        interlaced=frame.interlaced_frame,
        hdr=hdr_of(frame),
        unsupported_metadata=unsupported_metadata(frame),
        other_streams=tuple(describe_stream(s) for s in container.streams if s.index != stream.index),
        notes=tuple(notes),
        **tags,
    )


_TAGS = ("color_primaries", "color_trc", "colorspace", "color_range")


def _notes(frame: av.VideoFrame, stream: Any) -> list[str]:
    notes = []
    if not canonical_format(frame.format.name)[1]:
        beyond = ", and what is brighter than white or darker than black is cut off" if "f" in frame.format.name else ""
        notes.append(f"{frame.format.name} samples are rounded to {canonical_format(frame.format.name)[0]}{beyond}")
    if has_alpha_track(stream) and not frame.format.name.startswith("yuva"):
        notes.append("the alpha channel cannot be decoded here and is left out")
    return notes


def as_fraction(value: Any) -> Fraction | None:
    """PyAV 18 gives Fraction or None, PyAV 19 a rational that is falsy when unset."""
    if not value:
        return None
    return Fraction(value.numerator, value.denominator) if value.denominator else None


def _rate(rate: Fraction | None, pts: list[int], time_base: Fraction) -> tuple[Fraction | None, str]:
    """The frame rate, and a note where the container's cannot be true: no two frames are as close as it says."""
    steps = [b - a for a, b in zip(sorted(set(pts)), sorted(set(pts))[1:], strict=False)]
    if not steps:
        return (rate if rate and 0 < rate <= 1000 else None), ""
    fastest = 1 / (min(steps) * time_base)
    if rate and 0 < rate <= fastest * Fraction(3, 2):
        return rate, ""
    guess = _snap(1 / (sum(steps) * time_base / len(steps)))
    said = f"{float(rate):g} frames per second" if rate else "no frame rate"
    return guess, f"the container says {said}; its time stamps say {float(guess):.4g}"


def _snap(rate: Fraction) -> Fraction:
    nearest = min(_COMMON_RATES, key=lambda common: abs(common - rate))
    return nearest if abs(nearest - rate) < rate / 200 else max(rate.limit_denominator(1001), Fraction(1, 1001))


def _duration(container: Any, stream: Any, time_base: Fraction) -> float | None:
    if stream.duration and stream.duration > 0:
        return float(stream.duration * time_base)
    if container.duration and container.duration > 0:
        return float(container.duration / av.time_base)
    return None


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    for side_data in side_data_of(frame):
        if side_data.type == SideDataType.DISPLAYMATRIX:
            data = bytes(side_data)
            return struct.unpack("=9i", data[:36]) if len(data) >= 36 else None
    return None


def describe_stream(stream: Any) -> str:
    """A stream in words, for reports: `audio 1: aac, eng`."""
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else getattr(stream, "name", None)
    kind = "cover art" if stream.type == "video" and is_cover(stream) else stream.type
    parts = [codec or "unknown codec", stream.metadata.get("language"), stream.metadata.get("title")]
    return f"{kind} {stream.index}: " + ", ".join(p for p in parts if p and p != "und")

"""Packet copies: when nothing needed correcting, the source's own packets are the best output."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import OutputError
from deflicker.core.options import EncodeOptions
from deflicker.media.demux import open_input, packets, predecoded_codec
from deflicker.media.destination import Destination, name_of, open_target
from deflicker.media.discontinuity import JOINED, Joiner
from deflicker.media.edit_list import EditList, read_edits, write_edits
from deflicker.media.file_access import path_of
from deflicker.media.input_format import InputFormat
from deflicker.media.muxer import Output
from deflicker.media.passthrough import TimestampFixer, accepts, keep_rate, lead_of
from deflicker.media.probe import VideoInfo, as_fraction, has_alpha_track
from deflicker.media.verify_copy import pictures_kept

_HOLD_EDITS = ("mp4", "mov")
_HOLD_CODEC_TAGS = ("avi", "nut", "mov")
"""Formats whose codec tag says more than the codec: the pixel format of Ut Video, the profile of ProRes. MP4's
general `mp4v` says less."""
_WITHOUT_EDITS = InputFormat(options=(("ignore_editlist", "1"),))
_NEVER = Fraction(1 << 62)


@dataclass(frozen=True)
class Remuxed:
    """The result of a packet copy; fields as in `Writer`."""

    copied: tuple[str, ...]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    frames: int
    """Pictures copied."""
    codec: str = "copy"


def may_copy(output: Output, info: VideoInfo, options: EncodeOptions) -> bool:
    """Whether the source's packets could be the output: no option asks for encoding, and its format takes them."""
    template = output.source_video
    if predecoded_codec(info.path) or (
        output.format == "image2" and info.path.suffix.lower() != output.path.suffix.lower()
    ):
        return False
    if info.deinterlaced:
        return False
    loses_alpha = has_alpha_track(template) and output.format not in ("matroska", "webm")
    return not (options.must_encode or loses_alpha) and accepts(output.format, template)


def remux(info: VideoInfo, target: Destination, options: EncodeOptions = EncodeOptions()) -> Remuxed | None:
    """Copy every packet of `info.path` to `target`, or return None where the video must be encoded.

    It must if the options ask for a codec, quality, pixel format or cut, or the container does not take the
    source's codec. Raises OutputError as `Writer` does; `target` is complete or not there at all.
    """
    if options.must_encode or info.deinterlaced:
        return None
    if copied := _copy_file(info, target, options):
        return copied
    edits = read_edits(info.path, info.stream_id) if "mov" in info.container else None
    return _copied(info, target, options, None) or (_copied(info, target, options, edits) if edits else None)


def _copied(info: VideoInfo, target: Destination, options: EncodeOptions, edits: EditList | None) -> Remuxed | None:
    """The copy, if it shows the same pictures. edits: carry over all packets, and this list of those that are shown."""
    output = Output(target, info, options)
    try:
        if not may_copy(output, info, options) or (edits and output.format not in _HOLD_EDITS):
            output.discard()
            return None
        template = output.source_video
        stream: Any = output.container.add_stream_from_template(template, opaque=True)
        tag = template.codec_context.codec_tag
        own_tag = tag != "mp4v" and output.format in _HOLD_CODEC_TAGS and output.format in info.container
        if own_tag or (tag == "hvc1" and output.format == "mp4"):
            stream.codec_context.codec_tag = tag
        output.copy_video_tags(stream)
        keep_rate(template, stream, output.format)
        if has_alpha_track(template):
            stream.metadata["alpha_mode"] = "1"  # Matroska's muxer learns it from here
        output.add_other_streams()
        output.set_chapters(Fraction(0))
        first_dts = _copy_packets(output, stream, info, lead_of(template), every=edits is not None)
        frames = None
        if first_dts is not None:
            output.complete()
            if edits and isinstance(output.written, Path):
                write_edits(output.written, edits, first_dts)
            frames = pictures_kept(info, output.written, output.format, moved=output.moved > 0)
        if frames is None:
            output.discard()
            return None
        output.commit()
    except (av.error.InvalidDataError, av.error.ArgumentError, av.error.PatchWelcomeError):
        output.discard()
        return None  # packets so odd that the muxer refuses them: their pictures may still be encoded
    except av.FFmpegError as error:
        output.discard()
        raise OutputError(f"{output.path} could not be written: {error.strerror}") from error
    except BaseException:
        output.discard()
        raise
    return Remuxed(tuple(output.copied), tuple(output.dropped), tuple(output.notes), frames)


def _copy_file(info: VideoInfo, target: Destination, options: EncodeOptions) -> Remuxed | None:
    """Copy the file byte by byte where FFmpeg cannot demux it but the output has its format."""
    suffix = info.path.suffix.lower()
    if not predecoded_codec(info.path) or Path(name_of(target)).suffix.lower() != suffix or options.must_encode:
        return None
    place = open_target(target, source=info.path, overwrite=options.overwrite)
    try:
        shutil.copyfile(info.path, path_of(str(place.sink)))
        with open_input(info.path) as source:
            frames = sum(1 for packet in packets(source) if packet.size)
    except OSError as error:
        place.discard()
        raise OutputError(f"{place.path} could not be written: {error.strerror}") from error
    place.commit()
    return Remuxed(("everything",), (), (), frames)


def _copy_packets(output: Output, stream: Any, info: VideoInfo, lead: int, *, every: bool) -> int | None:
    """The first picture's dts; None where there is none, or an edit list hides some pictures of a format that has them.

    every: also copy the hidden ones, all at the times that they have without the list.
    """
    timestamps, joiner, first = TimestampFixer(), Joiner(), None
    with ExitStack() as stack:
        source = stack.enter_context(open_input(info.path, input_format=info.input_format))
        read: Iterator[av.Packet[Any]] = packets(source, joiner=joiner)
        if every:
            whole = stack.enter_context(open_input(info.path, input_format=_WITHOUT_EDITS))
            video = (packet for packet in packets(whole) if packet.stream_index == info.stream_index)
            others = (packet for packet in read if packet.stream_index != info.stream_index)
            read = heapq.merge(video, others, key=_when)
        for packet in read:
            if packet.stream_index != info.stream_index:
                output.copy(packet, Fraction(0))
                continue
            if packet.is_discard:
                if output.format in _HOLD_EDITS:
                    return None
                continue
            if packet.size and timestamps.stamp(packet, Fraction(0), strict=True, lead=lead):
                first = packet.dts if first is None else first
                packet.stream = stream
                output.container.mux(packet)
    output.moved += timestamps.moved
    output.notes += [JOINED] * (joiner.joins > 0)
    return first


def _when(packet: av.Packet[Any]) -> Fraction:
    """When a packet is due, in seconds; the last ones, which are empty, never."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return _NEVER if ticks is None else ticks * (as_fraction(packet.time_base) or Fraction(1))

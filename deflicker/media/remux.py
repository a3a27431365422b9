"""Copy a video as it is: when nothing needed correcting, the source's own packets are the best output."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import OutputError
from deflicker.core.options import EncodeOptions
from deflicker.media.demux import disguised, open_input, packets
from deflicker.media.destination import Destination, name_of, open_target
from deflicker.media.file_access import path_of
from deflicker.media.muxer import Output
from deflicker.media.passthrough import Clock, accepts, keep_rate, lead_of
from deflicker.media.probe import VideoInfo, has_alpha_track


@dataclass(frozen=True)
class Remuxed:
    """What a packet copy carried over, as in `Writer`."""

    copied: tuple[str, ...]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    frames: int
    """Pictures copied."""
    codec: str = "copy"


def may_copy(output: Output, info: VideoInfo, options: EncodeOptions) -> bool:
    """Whether the source's packets could be the output: no option asks for encoding, and its format takes them."""
    template = output.source_video
    if disguised(info.path) or (output.format == "image2" and info.path.suffix.lower() != output.path.suffix.lower()):
        return False
    loses_alpha = has_alpha_track(template) and output.format not in ("matroska", "webm")
    return not (options.must_encode or loses_alpha) and accepts(output.format, template)


def remux(info: VideoInfo, target: Destination, options: EncodeOptions = EncodeOptions()) -> Remuxed | None:
    """Copy every packet of `info.path` to `target`, or return None where the video must be encoded.

    It must if the options ask for a codec, quality, pixel format or cut, or the container does not take the
    source's codec. Raises OutputError as `Writer` does; `target` is complete or not there at all.
    """
    if copied := _copy_disguised(info, target, options):
        return copied
    output = Output(target, info, options)
    try:
        if not may_copy(output, info, options):
            output.discard()
            return None
        template = output.source_video
        stream: Any = output.container.add_stream_from_template(template, opaque=True)
        if template.codec_context.codec_tag == "hvc1" and output.format in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"
        output.copy_video_tags(stream)
        keep_rate(template, stream, output.format)
        if has_alpha_track(template):
            stream.metadata["alpha_mode"] = "1"  # Matroska's muxer learns it from here
        output.add_other_streams()
        output.set_chapters(Fraction(0))
        frames = _copy_packets(output, stream, info, lead_of(template))
        if frames is None:
            output.discard()
            return None
        output.finish()
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


def _copy_disguised(info: VideoInfo, target: Destination, options: EncodeOptions) -> Remuxed | None:
    """The source's own bytes, where its packets cannot be had but the output has its format."""
    suffix = info.path.suffix.lower()
    if not disguised(info.path) or Path(name_of(target)).suffix.lower() != suffix or options.must_encode:
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


def _copy_packets(output: Output, stream: Any, info: VideoInfo, lead: int) -> int | None:
    """The pictures copied; None where the source hides some by an edit list that the target cannot hold."""
    clock, pictures = Clock(), 0
    with open_input(info.path, told=info.told) as source:
        for packet in packets(source):
            if packet.stream_index != info.stream_index:
                output.copy(packet, Fraction(0))
            elif packet.is_discard and output.format not in ("mp4", "mov"):
                return None
            elif packet.size and clock.stamp(packet, Fraction(0), strict=True, lead=lead):
                packet.stream = stream
                output.container.mux(packet)
                pictures += not packet.is_discard
    output.moved += clock.moved
    return pictures

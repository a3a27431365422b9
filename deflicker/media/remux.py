"""Copy a video as it is: when nothing needed correcting, the source's own packets are the best output."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from deflicker.errors import OutputError
from deflicker.media.opening import open_input
from deflicker.media.output import Output
from deflicker.media.probe import VideoInfo, has_alpha_track, packets
from deflicker.media.streams import accepts, lead_of, stamp
from deflicker.media.target import Destination, name_of, open_target
from deflicker.settings import Settings


@dataclass(frozen=True)
class Remuxed:
    """What a packet copy carried over, as in `Writer`."""

    copied: tuple[str, ...]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]
    frames: int
    """Pictures copied."""
    codec: str = "copy"


def may_copy(output: Output, info: VideoInfo, settings: Settings) -> bool:
    """Whether the source's packets could be the output: no setting asks for encoding, and its format takes them."""
    template = output.source_video
    if info.original or (output.format == "image2" and info.path.suffix.lower() != output.path.suffix.lower()):
        return False
    loses_alpha = has_alpha_track(template) and output.format not in ("matroska", "webm")
    return not (_asks_for_encoding(settings) or loses_alpha) and accepts(output.format, template)


def remux(info: VideoInfo, target: Destination, settings: Settings | None = None) -> Remuxed | None:
    """Copy every packet of `info.path` to `target`, or return None where the video must be encoded.

    It must where the settings ask for a codec, quality, pixel format or cut, or the container does not take the
    source's codec. Raises OutputError as `Writer` does; `target` is complete or not there at all.
    """
    settings = settings or Settings()
    if info.original is not None:
        return _copy_file(info, info.original, target, settings)
    output = Output(target, info, settings)
    try:
        if not may_copy(output, info, settings):
            output.discard()
            return None
        template = output.source_video
        stream: Any = output.container.add_stream_from_template(template, opaque=True)
        if template.codec_context.codec_tag == "hvc1" and output.format in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"
        output.copy_video_tags(stream)
        if has_alpha_track(template):
            stream.metadata["alpha_mode"] = "1"  # Matroska's muxer learns it from here
        output.add_other_streams()
        output.set_chapters(Fraction(0))
        frames = _copy_packets(output, stream, info, lead_of(template))
        if frames is None:
            output.discard()
            return None
        output.finish()
    except av.FFmpegError as error:
        output.discard()
        raise OutputError(f"{output.path} could not be written: {error.strerror}") from error
    except BaseException:
        output.discard()
        raise
    return Remuxed(tuple(output.copied), tuple(output.dropped), tuple(output.notes), frames)


def _copy_file(info: VideoInfo, original: Path, target: Destination, settings: Settings) -> Remuxed | None:
    """The user's own file once more, where the output has its format."""
    if (
        _asks_for_encoding(settings)
        or settings.format
        or Path(name_of(target)).suffix.lower() != original.suffix.lower()
    ):
        return None
    place = open_target(target, source=original, overwrite=settings.overwrite)
    try:
        with original.open("rb") as source, open(str(place.sink), "wb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        place.discard()
        raise OutputError(f"{place.path} could not be written: {error.strerror}") from error
    place.commit()
    return Remuxed(("everything",), (), (), info.frame_count_hint or 0)


def _asks_for_encoding(settings: Settings) -> bool:
    asked = (settings.codec, settings.crf, settings.pix_fmt, settings.encoder_preset, settings.start, settings.end)
    return bool(settings.encoder_options) or any(value is not None for value in asked)


def _copy_packets(output: Output, stream: Any, info: VideoInfo, lead: int) -> int | None:
    """The pictures copied; None where the source hides some by an edit list that the target cannot hold."""
    last: dict[int, int] = {}
    pictures = 0
    with open_input(info.path, info.opening) as source:
        for packet in packets(source):
            if packet.stream_index != info.stream_index:
                output.copy(packet, Fraction(0))
            elif packet.is_discard and output.format not in ("mp4", "mov"):
                return None
            elif packet.size and stamp(packet, Fraction(0), last, strict=True, lead=lead):
                packet.stream = stream
                output.container.mux(packet)
                pictures += not packet.is_discard
    return pictures

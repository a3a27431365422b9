"""The output's container format: by its name, or where that says nothing, the source's."""

from __future__ import annotations

from pathlib import Path

from deflicker.core.errors import OutputError
from deflicker.core.options import StreamFormat
from deflicker.media.image_pattern import has_number_placeholder, image_sequence
from deflicker.media.probe import VideoInfo
from deflicker.media.sequence_target import IMAGE_ENCODERS

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
    ".mts": "mpegts",
    ".mxf": "mxf",
    ".flv": "flv",
    ".3gp": "3gp",
    ".nut": "nut",
    ".ogv": "ogg",
    ".wmv": "asf",
    ".mpg": "mpeg",
    ".gif": "gif",
    ".webp": "webp",
    ".apng": "apng",
    ".png": "apng",
    ".y4m": "yuv4mpegpipe",
}
"""FFmpeg's muxer for each end of a name."""
_OF_STREAMS = {"mkv": "matroska", "nut": "nut", "y4m": "yuv4mpegpipe", "raw": "rawvideo"}
_SAME = {"mov": "mp4"}
"""Demuxers whose first name is not the muxer that most of their files came from."""


def output_format(target: Path, info: VideoInfo, asked: StreamFormat | None) -> str:
    """FFmpeg's name of the output's format; `asked` comes first. Raises OutputError where nothing tells one."""
    if image_sequence(target):
        if target.suffix.lower() == ".exr":
            raise OutputError(
                f"{target}: OpenEXR holds light beyond white, which is cut off here: write 16-bit .png or .tif"
            )
        if target.suffix.lower() in IMAGE_ENCODERS:
            return "image2"
    if asked or str(target) == "-":
        return _OF_STREAMS[asked or "mkv"]
    found = FORMATS.get(target.suffix.lower()) or ("" if target.suffix else _as_source(info))
    if not found and has_number_placeholder(target):
        raise OutputError(f"{target}: images can be {', '.join(IMAGE_ENCODERS)}: end the name with one of these")
    if not found:
        known = ", ".join(list(FORMATS)[:6])
        raise OutputError(f"{target} has no known video extension: end its name with one of {known}, …")
    return found


def _as_source(info: VideoInfo) -> str:
    """The source's own format, where it is one that is written here."""
    by_name = FORMATS.get(info.path.suffix.lower())
    own = {_SAME.get(name, name) for name in info.container}
    if by_name and (by_name in own or by_name in info.container):
        return by_name
    return next((name for name in (_SAME.get(each, each) for each in info.container) if name in FORMATS.values()), "")

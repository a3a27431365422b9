"""Which encoder, and how it is set up: codec family, quality, speed. Pixel formats are in pixel_format.py."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import OutputError, SettingsError
from deflicker.core.options import EncodeOptions
from deflicker.media.probe import VideoInfo
from deflicker.media.sequence_target import IMAGE_ENCODERS

_LAMBDA = 118
"""FFmpeg's FF_QP2LAMBDA: quantiser scale to `global_quality`."""


@dataclass(frozen=True)
class Defaults:
    """How one encoder is asked for visually lossless quality at a speed two cores can bear."""

    quality_option: str | None = None
    quality: float = 0
    preset_option: str | None = None
    preset: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


# Speed: x264's medium is its knee. x265's medium, SVT-AV1's 10 … 12 and VP9's default 1 are several times off it, so
# they get the steps at which time per frame is comparable; at these qualities a slower step only makes files smaller.
_DEFAULTS = {
    "libx264": Defaults("crf", 16, "preset", "medium"),
    "libx264rgb": Defaults("crf", 16, "preset", "medium"),
    "libx265": Defaults("crf", 18, "preset", "fast"),
    "libsvtav1": Defaults("crf", 18, "preset", "8"),
    "libvpx-vp9": Defaults("crf", 18, "cpu-used", "4", {"deadline": "good", "row-mt": "1", "b": "0"}),
    # VP8 has no bitrate-free mode: crf holds only below the bitrate given.
    "libvpx": Defaults("crf", 8, "cpu-used", "4", {"deadline": "good", "b": "100M"}),
    "mpeg4": Defaults("qscale", 2),
    "mpeg2video": Defaults("qscale", 2),
    # Limited range is outside the JPEG standard but what a limited-range source means.
    "mjpeg": Defaults("qscale", 2, more={"strict": "unofficial"}),
    "libwebp_anim": Defaults(more={"quality": "90"}),
}
_HARDWARE = {
    "nvenc": Defaults("cq", 19, "preset", "p5", {"rc": "vbr", "b": "0"}),
    "qsv": Defaults("global_quality", 18),
    "amf": Defaults(),
    "vaapi": Defaults(),
    "videotoolbox": Defaults(),
    "v4l2m2m": Defaults(),
    "vulkan": Defaults(),
}
"""By how their names end."""

_ENCODER_OF_FAMILY = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "prores": "prores_ks",
    "mjpeg": "mjpeg",
    "ffv1": "ffv1",
    "huffyuv": "huffyuv",
    "ffvhuff": "ffvhuff",
    "utvideo": "utvideo",
    "dnxhd": "dnxhd",
    "cfhd": "cfhd",
    "v210": "v210",
    "magicyuv": "magicyuv",
    "qtrle": "qtrle",
}
_FALLBACKS = ("libx264", "libvpx-vp9", "libvpx", "mpeg4", "mpeg2video", "gif", "libwebp_anim", "flv", "wmv2")
_ARCHIVE = {
    "prores_ks": ("mov", "matroska", "mxf"),
    "ffv1": ("matroska", "avi", "nut"),
    "utvideo": ("avi",),
    "qtrle": ("mov",),
}
"""Encoders that keep depth, chroma or alpha where the usual ones do not, and the containers that players know them
in."""
_TRANSPORT = {
    "mpegts": ("h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4", "vvc"),
    "mpeg": ("mpeg2video", "mpeg1video"),
}
"""These write any codec without complaint, but only these can be read back."""
_OWN_ENCODER = {
    "gif": "gif",
    "webp": "libwebp_anim",
    "apng": "apng",
    "yuv4mpegpipe": "rawvideo",
    "rawvideo": "rawvideo",
}
"""These formats hold what one encoder makes."""
_MIN_SIDE_PX = {"libx265": 64}
"""x265 4.1 writes outside its memory at 34x18, 48x32 and other sizes below its largest block of 64."""
STILLS = ("gif", "webp", "png", "apng", "bmp", "rawvideo")


def choose_encoder(
    info: VideoInfo, container: str, target: Path, options: EncodeOptions
) -> tuple[str, tuple[str, ...]]:
    """The encoder's name, and notes on why it is not the source's codec family.

    Raises SettingsError where the one asked for is unknown or does not fit the container, OutputError where none fits.
    """
    if options.codec and container != "image2":
        return _asked_for(options.codec, container, info), ()
    if container in _OWN_ENCODER:
        return _OWN_ENCODER[container], ()
    if container == "image2":
        return IMAGE_ENCODERS[target.suffix.lower()], ()
    notes: list[str] = []
    encoder = _ENCODER_OF_FAMILY.get(info.codec)
    if encoder is None or not _exists(encoder):
        encoder = "libx264"
        # MPEG-2 and MPEG-4 Part 2 could be encoded, but refuse most time bases, so times would be lost.
        reason = (
            "is encoded as H.264 here" if info.codec in (*STILLS, "mpeg4", "mpeg2video") else "cannot be encoded here"
        )
        notes.append(f"source codec {info.codec} {reason}; using {encoder}")
    if _too_small(encoder, info):
        notes = [f"{encoder} does not take {info.width}x{info.height} pixels; using libx264"]
        encoder = "libx264"
    if not fits(container, encoder):
        wanted, encoder = encoder, next((e for e in _FALLBACKS if _exists(e) and fits(container, e)), "")
        if not encoder:
            raise OutputError(f"no encoder here fits a {container} file: choose .mp4, .mkv or .webm")
        notes = [f"a {container} file cannot hold {wanted}'s video; using {encoder}"]
    return encoder, tuple(notes)


def substitutes(info: VideoInfo, container: str) -> list[str]:
    """Encoders to try where that of the source's codec refuses, the most usual first."""
    special = [encoder for encoder, containers in _ARCHIVE.items() if container in containers]
    usual = [*_FALLBACKS[:1], "libx265", *_FALLBACKS[1:]] if info.codec not in _OWN_ENCODER else []
    return [e for e in (*usual, *special) if _exists(e) and fits(container, e) and not _too_small(e, info)]


def forced_options(encoder: str, pix_fmt: str) -> dict[str, str]:
    """What an encoder needs beside a pixel format to accept it."""
    if encoder == "libvpx" and pix_fmt.startswith("yuva"):
        return {"auto-alt-ref": "0"}
    if encoder == "dnxhd":  # its resolution-independent profiles; the others take few sizes
        profiles = {"yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx"}
        return {"profile": profiles.get(pix_fmt, "dnxhr_444")}
    return {}


def _exists(encoder: str) -> bool:
    try:
        return av.Codec(encoder, "w").type == "video"
    except av.codec.codec.UnknownCodecError:
        return False


@lru_cache
def fits(container: str, encoder: str) -> bool:
    """Whether a container format holds what an encoder makes; found out by writing a header to memory."""
    codec = av.Codec(encoder, "w")
    if container in _TRANSPORT and codec.canonical_name not in _TRANSPORT[container]:
        return False
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        stream: Any = trial.add_stream(encoder, rate=25)
        if not _opens(encoder, codec):
            return True  # it cannot run here at all: plan_encoding reports that
        _set_up(stream.codec_context, encoder, codec)
        trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with contextlib.suppress(av.FFmpegError):  # an empty file may be no valid one
            trial.close()
    return True


def _opens(encoder: str, codec: av.Codec) -> bool:
    context = av.CodecContext.create(encoder, "w")
    _set_up(context, encoder, codec)
    try:
        context.open()
    except av.FFmpegError:
        return False
    return True


def _set_up(context: Any, encoder: str, codec: av.Codec) -> None:
    formats = [f.name for f in codec.video_formats or ()]
    context.width = context.height = 64
    context.pix_fmt = "yuv420p" if "yuv420p" in formats or not formats else formats[0]
    context.time_base, context.color_range = Fraction(1, 25), 2
    context.options = _quiet(encoder, {})


def _quiet(encoder: str, options: dict[str, str]) -> dict[str, str]:
    """Two encoders write to stderr on their own, past FFmpeg's log."""
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")
    if encoder == "libx265":
        return options | {"x265-params": ":".join(filter(None, ("log-level=none", options.get("x265-params"))))}
    return options


def software(encoder: str) -> str | None:
    """The software encoder that makes what a hardware one would; None for those that are none."""
    if not encoder.endswith(tuple(_HARDWARE)):
        return None
    return _ENCODER_OF_FAMILY.get(av.Codec(encoder, "w").canonical_name)


def _too_small(encoder: str, info: VideoInfo) -> bool:
    return min(info.width, info.height) < _MIN_SIDE_PX.get(encoder, 1)


def _asked_for(name: str, container: str, info: VideoInfo) -> str:
    encoder = _ENCODER_OF_FAMILY.get(name, name)
    if not _exists(encoder):
        known = [c for c in av.codecs_available if _exists(c)]
        near = ", ".join(difflib.get_close_matches(name, known, 3) or ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
        raise SettingsError(f"there is no video encoder {name!r}: try {near}")
    if not fits(container, encoder):
        raise SettingsError(f"a {container} file cannot hold {encoder}'s video: choose another codec or file extension")
    if _too_small(encoder, info):
        size = f"{info.width}x{info.height}"
        raise SettingsError(f"{encoder} does not take {size} pixels: choose another codec, such as libx264")
    return encoder


def encoder_options(encoder: str, container: str, options: EncodeOptions) -> dict[str, str]:
    """FFmpeg options of the encoder: the tool's defaults, replaced by what the user set.

    Raises SettingsError where the user set what this encoder does not have.
    """
    default = _DEFAULTS.get(encoder) or next((d for k, d in _HARDWARE.items() if encoder.endswith(k)), Defaults())
    found = dict(default.more)
    found |= _quality(encoder, default, options.crf)
    if options.encoder_preset is not None:
        found[_preset_option(encoder, default)] = options.encoder_preset
    elif default.preset_option:
        found[default.preset_option] = default.preset
    if container in ("avi", "mxf") and encoder in ("libx264", "mpeg4", "mpeg2video"):
        found["bf"] = "0"  # no presentation times are stored here, so pictures must come in the order shown
    found |= options.encoder_options
    return _quiet(encoder, found)


def _quality(encoder: str, default: Defaults, crf: float | None) -> dict[str, str]:
    option = default.quality_option or ("crf" if "crf" in _private_options(encoder) else None)
    if option is None:
        if crf is not None:
            raise SettingsError(f"{encoder} has no crf: leave it out, or set the encoder's own options")
        return {}
    if crf is None and default.quality_option is None:
        return {}
    value = default.quality if crf is None else crf
    if option == "qscale":
        return {"flags": "+qscale", "global_quality": str(round(value * _LAMBDA))}
    return {option: f"{value:g}"}


def _preset_option(encoder: str, default: Defaults) -> str:
    option = default.preset_option or ("preset" if "preset" in _private_options(encoder) else None)
    if option is None:
        raise SettingsError(f"{encoder} has no presets: leave encoder_preset out")
    return option


def _private_options(encoder: str) -> set[str]:
    context = av.CodecContext.create(encoder, "w")
    return {o.name for o in context.supported_options.private}

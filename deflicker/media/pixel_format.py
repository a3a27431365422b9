"""The output's pixel format: the source's where the encoder has it, else what loses least."""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
from av.codec.codec import find_best_pix_fmt_of_list

from deflicker.core.errors import OutputError, SettingsError
from deflicker.core.options import EncodeOptions
from deflicker.media.frame import PlaneLayout
from deflicker.media.planes import canonical_format, format_of, layout_of, packable
from deflicker.media.probe import VideoInfo

_PLAYABLE = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "webp")
"""Codecs made for Y'CbCr: RGB or gray in them is legal, but few players show it."""


@dataclass(frozen=True)
class Pixels:
    """A pixel format the encoder may be opened with, and what its numbers mean."""

    pix_fmt: str
    layout: PlaneLayout
    matrix_tag: int
    range_tag: int
    loss: str
    """What is lost against the source, in words; empty for nothing."""


def candidates(info: VideoInfo, encoder: str, container: str, options: EncodeOptions) -> list[Pixels]:
    """Pixel formats in the order to try; encoders refuse some for some sizes.

    Raises SettingsError where the one asked for is none of the encoder's, OutputError where none can be used.
    """
    codec = av.Codec(encoder, "w")
    alpha = info.layout.has_alpha and _alpha_fits(codec.canonical_name, container)
    # A first picture without transparency says little of the others; the source's own codec keeps what it can.
    layout = replace(info.layout, has_alpha=alpha and (info.transparent or codec.canonical_name == info.codec))
    if encoder == "gif" and not options.pix_fmt:
        return [_describe(info, "pal8")]
    # yuvj420p is yuv420p with a full-range tag, which is set anyway.
    formats = [f.name for f in codec.video_formats or () if not f.name.startswith("yuvj") and _usable(f.name)]
    formats = formats or _uncompressed(info, container)
    if options.pix_fmt:
        if options.pix_fmt not in formats:
            raise SettingsError(f"{encoder} has no pixel format {options.pix_fmt!r}: it has {', '.join(formats)}")
        return [_describe(info, options.pix_fmt)]
    names = [_playable(layout, formats)] if _is_foreign(info, codec.canonical_name) else []
    names += [_nearest(layout, formats)]
    # Where subsampled chroma needs even sides, full chroma does not.
    names += [n for n in _full_chroma(layout) if n in formats]
    chosen = [_describe(info, name) for name in dict.fromkeys(filter(None, names))]
    if not chosen:
        raise OutputError(f"{encoder} has no pixel format for {info.pix_fmt}: choose another codec")
    return chosen


def _uncompressed(info: VideoInfo, container: str) -> list[str]:
    """What a format without an encoder is given: the source's own arrangement of samples, or the nearest it names."""
    if container == "yuv4mpegpipe":
        depth = "" if info.layout.bit_depth == 8 else f"p{max(9, info.layout.bit_depth)}le"
        return ["gray" + depth.removeprefix("p"), *(f"yuv{c}{depth or 'p'}" for c in ("420", "422", "444"))]
    return [info.pix_fmt if packable(info.pix_fmt) else format_of(info.layout)]


def _usable(name: str) -> bool:
    try:
        return packable(name) or canonical_format(name)[1]
    except (ValueError, AssertionError):  # frames that live on a GPU
        return False


def _is_foreign(info: VideoInfo, codec: str) -> bool:
    return info.layout.family != "yuv" and codec in _PLAYABLE and codec != info.codec


def _alpha_fits(codec: str, container: str) -> bool:
    """VP8 and VP9 keep alpha beside the stream, where only Matroska has room; HEVC's alpha plays almost nowhere."""
    return container in ("matroska", "webm") if codec in ("vp8", "vp9") else codec != "hevc"


def _playable(layout: PlaneLayout, formats: list[str]) -> str | None:
    """4:2:0 as every player takes it; with alpha where the encoder has it, 10 bits where the source has more than 8."""
    depths = ["10le", ""] if layout.bit_depth > 8 else [""]
    kinds = ["yuva420p", "yuv420p"] if layout.has_alpha else ["yuv420p"]
    return next((k + d for k in kinds for d in depths if k + d in formats), None)


def _nearest(layout: PlaneLayout, formats: list[str]) -> str | None:
    wanted = format_of(layout)
    if wanted in formats:
        return wanted
    same = [name for name in formats if packable(name) and canonical_format(name)[0] == wanted]
    if same:
        return same[0]
    best, _ = find_best_pix_fmt_of_list(formats, wanted, layout.has_alpha)
    return best.name if best else None


def _full_chroma(layout: PlaneLayout) -> list[str]:
    depth = "" if layout.bit_depth == 8 else f"{min(layout.bit_depth, 12)}le"
    return [f"yuv444p{depth}", "yuv444p10le" if depth else "yuv444p", "yuv444p"]


def _describe(info: VideoInfo, name: str) -> Pixels:
    source = info.layout
    out = layout_of(name, height=info.height)
    out = replace(out, matrix=source.matrix)
    if out.family == "rgb":
        palette = ["256 colours per picture"] if name == "pal8" else []
        return Pixels(name, out, 0, 2, ", ".join(filter(None, [_loss(info, out), *palette])))
    if source.family == "rgb":
        out = replace(out, full_range=False)
        return Pixels(name, out, 1 if source.matrix == "bt709" else 6, 1, _loss(info, out))
    out = replace(out, full_range=source.full_range)
    return Pixels(name, out, info.colorspace, 2 if source.full_range else info.color_range, _loss(info, out))


def _loss(info: VideoInfo, out: PlaneLayout) -> str:
    source, losses = info.layout, []
    if out.bit_depth < source.bit_depth:
        losses.append(f"{source.bit_depth} bits become {out.bit_depth}")
    if source.family == "rgb" and out.family == "yuv":
        losses.append("RGB becomes Y'CbCr" + (" with halved chroma" if out.chroma_shift != (0, 0) else ""))
    elif source.family == "yuv" and out.family == "rgb":
        losses.append("Y'CbCr becomes RGB")
    elif source.family == out.family and any(o > s for o, s in zip(out.chroma_shift, source.chroma_shift, strict=True)):
        losses.append("chroma is subsampled further")
    return ", ".join(losses)

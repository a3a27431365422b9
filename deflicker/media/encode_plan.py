"""An encoder set up for one video: chosen, tried, and described for the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from deflicker.core.errors import OutputError, SettingsError
from deflicker.core.options import EncodeOptions
from deflicker.media import pixel_format
from deflicker.media.encoders import STILLS, choose_encoder, encoder_options, forced_options, software, substitutes
from deflicker.media.pixel_format import Pixels
from deflicker.media.probe import VideoInfo

_TECHNICAL = ("x265-params", "flags", "global_quality", "strict", "b", "rc", "row-mt", "deadline")
_CONSTANT_RATE = ("avi", "mxf", "image2", "yuv4mpegpipe", "rawvideo")
_MP4_FAMILY = ("mp4", "mov", "ipod", "3gp", "3g2", "f4v", "ismv")


@dataclass(frozen=True)
class Encoding:
    """How the video stream of the output is encoded."""

    encoder: str
    pixels: Pixels
    time_base: Fraction
    options: dict[str, str]
    notes: tuple[str, ...]

    @property
    def description(self) -> str:
        """For the user: `libx264 (crf 16, preset medium), yuv420p`."""
        options = ", ".join(f"{key} {value}" for key, value in self.options.items() if key not in _TECHNICAL)
        return f"{self.encoder}{f' ({options})' if options else ''}, {self.pixels.pix_fmt}"

    def apply(self, context: Any, info: VideoInfo, container: str) -> None:
        """Set up a codec context that is not open yet."""
        context.width, context.height = info.width, info.height
        context.pix_fmt = self.pixels.pix_fmt
        context.time_base = self.time_base
        context.framerate = info.average_rate or Fraction(25)
        context.color_primaries, context.color_trc = info.color_primaries, info.color_trc
        context.colorspace, context.color_range = self.pixels.matrix_tag, self.pixels.range_tag
        if info.sample_aspect_ratio:
            context.sample_aspect_ratio = info.sample_aspect_ratio
        if container in _MP4_FAMILY and context.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Apple's players know HEVC by this name only
        context.options = dict(self.options)


def plan_encoding(info: VideoInfo, container: str, target: Path, options: EncodeOptions) -> Encoding:
    """Choose encoder, pixel format and time base so that the encoder opens.

    `container` is the FFmpeg name of the output's format, `target` the output's name. Where a hardware encoder does not
    run, software of the same codec takes its place. Raises SettingsError that names the option at fault, or
    OutputError.
    """
    encoder, notes = choose_encoder(info, container, target, options)
    plan = _opened(encoder, info, container, options)
    if isinstance(plan, Encoding):
        free = notes and not options.codec and not options.pix_fmt and info.codec not in STILLS
        better = _nearest(encoder, info, container) if free and _loss_count(plan, info) else None
        if better is None or _loss_count(better, info) >= _loss_count(plan, info):
            return replace(plan, notes=(*notes, *plan.notes))
        reason = notes[0].partition("; using ")[0]
        note = f"{reason}; using {better.encoder}, which keeps most of depth, chroma and alpha"
        return replace(better, notes=(note, *better.notes))
    failure = plan
    if instead := software(encoder):
        plain = replace(options, codec=instead, encoder_preset=None, encoder_options={})
        plan = plan_encoding(info, container, target, plain)
        lost = " without the options for it" if options.encoder_preset or options.encoder_options else ""
        note = f"{encoder} does not run here ({failure}): encoded with {plan.encoder}{lost}"
        return replace(plan, notes=(note, *plan.notes))
    _raise_for_option(encoder, encoder_options(encoder, container, options), options, info, container)
    if not options.codec and container != "image2" and (nearest := _nearest(encoder, info, container)):
        note = f"{encoder} refuses {info.width}x{info.height} {info.pix_fmt} ({failure}): using {nearest.encoder}"
        return replace(nearest, notes=(note, *nearest.notes))
    raise OutputError(f"{encoder} cannot encode {info.width}x{info.height} {info.pix_fmt}: {failure}")


def _opened(encoder: str, info: VideoInfo, container: str, options: EncodeOptions) -> Encoding | str:
    """The encoder with the first pixel format and time base that it takes; or its error message."""
    private = encoder_options(encoder, container, options)
    for key, value in (info.hdr.options(encoder) if info.hdr else {}).items():
        private[key] = ":".join(filter(None, (value, private.get(key))))  # the user's own come last and win
    failure = "it has no pixel format for these"
    for choice in pixel_format.candidates(info, encoder, container, options):
        own = forced_options(encoder, choice.pix_fmt) | private
        for time_base in _time_bases(info, container):
            plan = Encoding(encoder, choice, time_base, own, tuple(_notes(info, choice, time_base, options)))
            failure = _refusal(plan, info, container)
            if not failure:
                return plan
    return failure


def _nearest(refused: str, info: VideoInfo, container: str) -> Encoding | None:
    """Of the other encoders whose video the container holds, the first of those that lose least."""
    plans = []
    for encoder in substitutes(info, container):
        plan = _opened(encoder, info, container, EncodeOptions()) if encoder != refused else ""
        if isinstance(plan, Encoding):
            plans.append(plan)
    return min(plans, key=lambda plan: _loss_count(plan, info), default=None)


def _loss_count(plan: Encoding, info: VideoInfo) -> int:
    """How many of depth, chroma, colour model and alpha are not kept."""
    losses = plan.pixels.loss.count(", ") + bool(plan.pixels.loss)
    return losses + (info.transparent and not plan.pixels.layout.has_alpha)


def _time_bases(info: VideoInfo, container: str) -> list[Fraction]:
    """The source's own, then one that MPEG-4 takes (a denominator of 16 bits) and that holds the frame rate exactly."""
    rate = info.average_rate or Fraction(25)
    if container in _CONSTANT_RATE:
        return [1 / rate]
    if container == "webp":
        return [Fraction(1, 1000)]  # its encoder keeps times in these
    ticks = rate.numerator if rate.numerator <= 65535 else 60000
    return [info.time_base, Fraction(1, ticks * max(1, 65535 // ticks)), 1 / rate]  # the last for MPEG-1 and MPEG-2


def _notes(info: VideoInfo, choice: Pixels, time_base: Fraction, options: EncodeOptions) -> list[str]:
    notes = []
    if choice.loss and not options.pix_fmt:
        hint = ""
        halved = info.layout.family == "rgb" and choice.layout.chroma_shift != (0, 0)
        if halved and info.input_format.name != "rawvideo":
            hint = " (--pix-fmt yuv444p keeps full chroma, but plays in fewer places)"
        notes.append(f"pixels are written as {choice.pix_fmt}: {choice.loss}{hint}")
    if time_base != info.time_base:
        notes.append(f"time stamps are rounded to {time_base} s: this encoder or container has no finer ones")
    return notes


def _refusal(plan: Encoding, info: VideoInfo, container: str) -> str:
    """Try to open the encoder: its error message, or nothing where it opens and knows every option."""
    context: Any = av.CodecContext.create(plan.encoder, "w")
    try:
        plan.apply(context, info, container)
        context.open()
    except (av.FFmpegError, ValueError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    unknown = sorted(context.options)
    if unknown:
        raise SettingsError(f"{plan.encoder} has no option {', '.join(unknown)}: leave it out, or check its name")
    return ""


def _raise_for_option(
    encoder: str, private: dict[str, str], options: EncodeOptions, info: VideoInfo, container: str
) -> None:
    """Raise SettingsError for the user's option without which the encoder would open."""
    asked = {key: f"{key}={value}" for key, value in options.encoder_options.items()}
    defaults = encoder_options(encoder, container, EncodeOptions())
    for key, value in private.items():
        if defaults.get(key) != value and key not in asked:
            asked[key] = f"{key}={value}"
    for key, said in asked.items():
        rest = {k: v for k, v in private.items() if k != key}
        for choice in pixel_format.candidates(info, encoder, container, options):
            plan = Encoding(encoder, choice, _time_bases(info, container)[-1], rest, ())
            if not _refusal(plan, info, container):
                raise SettingsError(f"{encoder} does not take {said}: change it or leave it out")

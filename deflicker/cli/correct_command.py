"""The options of `deflicker IN OUT` and of `deflicker IN… --output-dir FOLDER`: texts become Settings and a command."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from deflicker.cli.arguments import (
    FORMAT_NAMES,
    correction,
    hardware,
    key_and_value,
    logs,
    many,
    output,
    read_option,
    read_optional,
    show_all_help,
    source,
)
from deflicker.cli.batch import Batch
from deflicker.cli.checks import check_log_path
from deflicker.cli.command import execute
from deflicker.cli.command_choice import command_for
from deflicker.cli.doctor import DoctorCommand
from deflicker.cli.group import complete_first_word
from deflicker.cli.run_options import RunOptions
from deflicker.cli.usage import COMMANDS
from deflicker.cli.video_command import VideoCommand
from deflicker.core.errors import SettingsError
from deflicker.core.options import StreamFormat
from deflicker.core.presets import PRESETS
from deflicker.core.settings import CompareStyle, Settings
from deflicker.core.values import RawVideo, Span, TimePoint, parse_rate, parse_reference, parse_size
from deflicker.core.version import __version__


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deflicker {__version__}")
        raise typer.Exit


def _run_doctor(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(execute(DoctorCommand()))


def correct(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="IN OUT",
            hidden=True,  # the text above says it
            autocompletion=complete_first_word(lambda: COMMANDS),
        ),
    ],
    *,
    strength: Annotated[
        float, correction(metavar="0..1", help="How much of the correction to apply; 0 only copies or converts.")
    ] = Settings.strength,
    preset: Annotated[str, correction(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    anchor: Annotated[
        float,
        correction(metavar="0..1", help="How much slow drift of tone and colour to remove. Slow lighting goes, too."),
    ] = Settings.anchor,
    exclude: Annotated[
        list[str] | None,
        correction(
            metavar="START-END", help="Leave this part unchanged, such as 1:30-1:35.5 or 120f-140f; repeatable."
        ),
    ] = None,
    keep_flashes: Annotated[
        bool, correction("--keep-flashes", hidden=True, help="Leave weak flashes and strobes of light unchanged, too.")
    ] = False,
    reference: Annotated[
        str | None,
        correction(
            metavar="FRAME|IMAGE",
            hidden=True,
            help="Reference for --anchor: 120f, 1:30 or an image file. (default: an early frame of each shot)",
        ),
    ] = None,
    guide: Annotated[
        Path | None,
        correction(
            metavar="FILE",
            hidden=True,
            help="Estimate motion on this stable video of the same frames, such as the source of an edit.",
        ),
    ] = None,
    texture: Annotated[
        str,
        correction(
            metavar="auto|average|hold|off",
            hidden=True,
            help="Average texture that boils, hold texture that is redrawn in every frame, or neither. "
            "With --guide, auto holds what is redrawn.",
        ),
    ] = Settings.texture,
    hold: Annotated[
        float, correction(metavar="0..1", hidden=True, help="How much redrawn texture to hold.")
    ] = Settings.hold,
    space: Annotated[
        str | None,
        correction(
            metavar="auto|pixel|latent|both",
            hidden=True,
            help="Where to stabilize boiling texture. (default: pixel; auto in quality)",
        ),
    ] = None,
    autoencoder: Annotated[
        str | None,
        correction(
            metavar="own|PATH",
            hidden=True,
            help="Autoencoder for --space latent: the one in the package, AutoencoderKL, AutoencoderTiny or TAESD. "
            "(default: own)",
        ),
    ] = None,
    start: Annotated[str | None, source(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f (frame).")] = None,
    end: Annotated[str | None, source(metavar="TIME", help="First frame to leave out.")] = None,
    fps: Annotated[
        str | None,
        source(metavar="RATE", hidden=True, help="Frame rate of numbered images: 24 or 24000/1001. (default: 24)"),
    ] = None,
    raw: Annotated[
        str | None,
        source(
            "--rawvideo",
            metavar="WxH@FPS",
            hidden=True,
            help="IN is raw frames of this size, in the format --pix-fmt. (default: rgb24)",
        ),
    ] = None,
    deinterlace: Annotated[
        str, source(metavar="auto|off", hidden=True, help="Make progressive pictures of interlaced ones.")
    ] = Settings.deinterlace,
    strict: Annotated[
        bool, source("--strict", hidden=True, help="Refuse a damaged input instead of using what decodes.")
    ] = False,
    decoder: Annotated[
        str | None,
        source(
            metavar="NAME",
            hidden=True,
            help="FFmpeg video decoder, such as h264_cuvid; the usual one is used if it does not run.",
        ),
    ] = None,
    overwrite: Annotated[bool, output("--overwrite", "-y", help="Replace OUT if it exists.")] = False,
    crf: Annotated[
        float | None, output(metavar="N", help="Quality, lower is better. (default: visually lossless)")
    ] = None,
    report: Annotated[
        Path | None, output(metavar="FILE", help="Measure before and after, and write a .html, .json or .csv report.")
    ] = None,
    compare: Annotated[Path | None, output(metavar="FILE", help="Also write a before/after video.")] = None,
    dry_run: Annotated[bool, output("--dry-run", help="Only print what would be done.")] = False,
    resume: Annotated[
        bool, output("--resume", hidden=True, help="Save progress next to OUT, and continue an interrupted run.")
    ] = False,
    codec: Annotated[
        str | None,
        output(
            metavar="NAME",
            hidden=True,
            help="FFmpeg video encoder, such as libx264 or h264_nvenc; software is used if it does not run. "
            "(default: as the source)",
        ),
    ] = None,
    form: Annotated[
        str | None,
        output(
            "--format",
            "-f",
            metavar="|".join(get_args(StreamFormat)),
            hidden=True,
            help="Format of OUT; FFmpeg's names work, too. (default: by its name; mkv for a pipe)",
        ),
    ] = None,
    pix_fmt: Annotated[
        str | None, output(metavar="NAME", hidden=True, help="FFmpeg pixel format. (default: as the source)")
    ] = None,
    encoder_option: Annotated[
        list[str] | None,
        output("-e", "--encoder-option", metavar="KEY=VALUE", hidden=True, help="Further encoder option; repeatable."),
    ] = None,
    encoder_preset: Annotated[
        str | None, output(metavar="NAME", hidden=True, help="Speed preset of the encoder, such as slow.")
    ] = None,
    compare_style: Annotated[
        str,
        output(metavar="side|split", hidden=True, help="--compare side by side, or split by a moving divider."),
    ] = "side",
    lpips: Annotated[
        bool, output("--lpips/--no-lpips", hidden=True, help="Use LPIPS, its slowest part, in the report.")
    ] = True,
    output_dir: Annotated[
        Path | None,
        many(metavar="FOLDER", help="Every name is an IN: a file, folder or pattern. Write the outputs there."),
    ] = None,
    suffix: Annotated[
        str,
        many(metavar="TEXT", hidden=True, help="The same; added to each output's name.", show_default=False),
    ] = "",
    recursive: Annotated[
        bool, many("--recursive", "-r", hidden=True, help="Search folders within folders, too.")
    ] = False,
    jobs: Annotated[
        int | None,
        many(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            hidden=True,
            help="Videos at a time. (default: 1; with --ray, all workers)",
        ),
    ] = None,
    skip_existing: Annotated[
        bool, many("--skip-existing", hidden=True, help="Skip videos whose output exists.")
    ] = False,
    ray: Annotated[
        str | None,
        many(metavar="auto|HOST:PORT", hidden=True, help="Use a Ray cluster, also for the shots of one video."),
    ] = None,
    device: Annotated[
        str,
        hardware(metavar="auto|cpu|cuda[:N]|mps", hidden=True, help="Where to compute; auto is the fastest device."),
    ] = Settings.device,
    precision: Annotated[
        str, hardware(metavar="auto|fp32|bf16|fp16", hidden=True, help="Arithmetic of the flow network.")
    ] = Settings.precision,
    max_memory: Annotated[
        str | None, hardware(metavar="SIZE", hidden=True, help="Memory to stay under, such as 8G.")
    ] = None,
    weights: Annotated[
        Path | None, hardware(metavar="PATH", hidden=True, help="Weight file, or folder of weight files.")
    ] = None,
    offline: Annotated[bool, hardware("--offline", hidden=True, help="Never use the network.")] = False,
    quiet: Annotated[bool, logs("--quiet", "-q", hidden=True, help="Only print errors.")] = False,
    verbose: Annotated[bool, logs("--verbose", "-v", hidden=True, help="Print more, and tracebacks for bugs.")] = False,
    log_json: Annotated[
        Path | None,
        logs(metavar="FILE", hidden=True, help="Append events, one JSON object per line; - is standard output."),
    ] = None,
    doctor: Annotated[
        bool, logs("--doctor", hidden=True, help="Same as deflicker doctor.", callback=_run_doctor, is_eager=True)
    ] = False,
    version: Annotated[
        bool, logs("--version", hidden=True, help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    help_all: Annotated[
        bool,
        typer.Option("--help-all", help="Show all options and exit.", callback=show_all_help, is_eager=True),
    ] = False,
) -> int:
    """Remove flicker from a video, and change nothing else.

    IN is the video to correct, OUT the video to write; - is a pipe.

    Audio, subtitles, timing and metadata are carried over. Frames that need no correction are not changed.

    Example: deflicker in.mp4 out.mp4 --report report.html

    More commands, each with its own --help: deflicker explain, preview, measure, fvd and doctor.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 input unreadable,
    4 output exists or cannot be written, 5 weights not available, 130 interrupted.
    """
    paths = [Path(name) for name in names]
    if quiet and verbose:
        raise SettingsError("--quiet and --verbose exclude each other")
    if compare_style not in get_args(CompareStyle):
        raise SettingsError(f"--compare-style is {compare_style!r}: choose {' or '.join(get_args(CompareStyle))}")
    raw_video = read_optional(RawVideo.parse, raw, "--rawvideo")
    if raw_video is not None and pix_fmt is not None:
        raw_video, pix_fmt = replace(raw_video, pix_fmt=pix_fmt), None
    settings = Settings(
        strength=strength,
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        anchor=anchor,
        reference=read_optional(parse_reference, reference, "--reference"),
        guide=guide,
        exclude=tuple(read_option(Span.parse, part, "--exclude") for part in exclude or ()),
        keep_flashes=keep_flashes,
        texture=texture,  # type: ignore[arg-type]
        hold=hold,
        space=space,  # type: ignore[arg-type]
        autoencoder=autoencoder,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        max_memory=read_optional(parse_size, max_memory, "--max-memory"),
        decoder=decoder,
        codec=codec,
        crf=crf,
        encoder_preset=encoder_preset,
        pix_fmt=pix_fmt,
        format=FORMAT_NAMES.get(form or "", form),  # type: ignore[arg-type]
        fps=read_optional(parse_rate, fps, "--fps"),
        raw_video=raw_video,
        encoder_options=dict(read_option(key_and_value, option, "-e") for option in encoder_option or ()),
        start=read_optional(TimePoint.parse, start, "--start"),
        end=read_optional(TimePoint.parse, end, "--end"),
        weights=weights,
        offline=offline,
        overwrite=overwrite,
        deinterlace=deinterlace,  # type: ignore[arg-type]
        strict=strict,
        resume=resume,
    )
    options = RunOptions(
        settings=settings,
        report=report,
        compare=compare,
        compare_style=compare_style,  # type: ignore[arg-type]
        lpips=lpips,
        dry_run=dry_run,
    )
    batch = Batch(output_dir, suffix, recursive, jobs, skip_existing, ray)
    command = command_for(paths, batch, options)
    if names[-1].endswith(("/", os.sep)) and len(names) == 2 and not paths[1].exists():
        raise SettingsError(f"there is no folder {names[1]}; to write a file, leave out the slash at its end")
    if isinstance(command, VideoCommand):
        command = replace(command, pipeline=ctx.obj)
        check_log_path(log_json, command.source, command.target)
    return execute(replace(command, quiet=quiet, verbose=verbose, log_json=log_json))

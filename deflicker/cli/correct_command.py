"""The options of `deflicker IN OUT` and of `deflicker IN… --output-dir FOLDER`: texts become Settings and a command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, get_args

import typer

from deflicker.cli.arguments import (
    advanced,
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
from deflicker.cli.batch_command import BatchCommand
from deflicker.cli.checks import STREAM, check_log_path
from deflicker.cli.command import Command, execute
from deflicker.cli.doctor import DoctorCommand
from deflicker.cli.group import complete_first_word
from deflicker.cli.run_options import RunOptions
from deflicker.cli.video_command import VideoCommand
from deflicker.core.errors import SettingsError
from deflicker.core.options import StreamFormat
from deflicker.core.presets import PRESETS
from deflicker.core.settings import CompareStyle, Settings
from deflicker.core.values import RawVideo, Span, TimePoint, parse_rate, parse_reference, parse_size
from deflicker.core.version import __version__

COMMANDS = ("measure", "preview", "fvd", "doctor")
"""The other commands. A file with such a name is still reached as `./NAME`."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"deflicker {__version__}")
        raise typer.Exit


def _run_doctor(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(execute(DoctorCommand()))


def correct(
    ctx: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN OUT",
            help="Video to correct, and video to write; - is a pipe.",
            autocompletion=complete_first_word(lambda: COMMANDS),
        ),
    ],
    *,
    strength: Annotated[float, correction(min=0, max=1, help="How much of the correction to apply.")] = (
        Settings.strength
    ),
    preset: Annotated[str, correction(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    anchor: Annotated[
        float, correction(min=0, max=1, help="How much slow drift of tone and colour to remove.")
    ] = Settings.anchor,
    reference: Annotated[
        str | None,
        correction(
            metavar="FRAME|IMAGE", help="Reference frame or image for --anchor. (default: one frame of each shot)"
        ),
    ] = None,
    guide: Annotated[
        Path | None, correction(metavar="FILE", help="Estimate motion on this stable video instead.")
    ] = None,
    exclude: Annotated[
        list[str] | None, correction(metavar="START-END", help="Leave this part unchanged; repeatable.")
    ] = None,
    keep_flashes: Annotated[
        bool, correction("--keep-flashes", help="Leave weak flashes of light unchanged, too.")
    ] = False,
    texture: Annotated[
        str,
        correction(metavar="auto|average|hold|off", help="Average boiling texture, hold redrawn texture, or neither."),
    ] = Settings.texture,
    hold: Annotated[float, correction(min=0, max=1, help="How much redrawn texture to hold.")] = Settings.hold,
    space: Annotated[
        str | None, correction(metavar="auto|pixel|latent|both", help="Where to stabilize texture.")
    ] = None,
    start: Annotated[str | None, source(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f (frame).")] = None,
    end: Annotated[str | None, source(metavar="TIME", help="First frame to leave out.")] = None,
    fps: Annotated[str | None, source(metavar="RATE", help="Frame rate of numbered images.")] = None,
    raw: Annotated[
        str | None, source("--rawvideo", metavar="WxH@FPS", help="IN is raw frames of --pix-fmt. (default: rgb24)")
    ] = None,
    strict: Annotated[bool, source("--strict", help="Refuse a damaged input instead of using what decodes.")] = False,
    overwrite: Annotated[bool, output("--overwrite", "-y", help="Replace OUT if it exists.")] = False,
    resume: Annotated[bool, output("--resume", help="Save progress, and continue an interrupted run.")] = False,
    codec: Annotated[str | None, output(metavar="NAME", help="FFmpeg video encoder. (default: as the source)")] = None,
    crf: Annotated[float | None, output(help="Quality, lower is better. (default: visually lossless)")] = None,
    form: Annotated[
        str | None,
        output(
            "--format", "-f", metavar="|".join(get_args(StreamFormat)), help="Format of OUT. (default: by its name)"
        ),
    ] = None,
    pix_fmt: Annotated[str | None, output(metavar="NAME", help="FFmpeg pixel format. (default: as the source)")] = None,
    encoder_option: Annotated[
        list[str] | None,
        output("-e", "--encoder-option", metavar="KEY=VALUE", help="Further encoder option; repeatable."),
    ] = None,
    report: Annotated[
        Path | None, output(metavar="FILE", help="Measure, and write a report: .html, .json or .csv.")
    ] = None,
    compare: Annotated[Path | None, output(metavar="FILE", help="Also write a before/after video.")] = None,
    dry_run: Annotated[bool, output("--dry-run", help="Only print what would be done.")] = False,
    output_dir: Annotated[
        Path | None, many(metavar="FOLDER", help="Treat every name as IN, and write the outputs there.")
    ] = None,
    suffix: Annotated[
        str,
        many(metavar="TEXT", help="The same; added to each output's name.", show_default=False),
    ] = "",
    recursive: Annotated[bool, many("--recursive", "-r", help="Search folders of folders, too.")] = False,
    jobs: Annotated[
        int | None, many("--jobs", "-j", min=1, help="Videos at a time. (default: 1; with --ray, all workers)")
    ] = None,
    skip_existing: Annotated[bool, many("--skip-existing", help="Skip videos whose output exists.")] = False,
    ray: Annotated[
        str | None, many(metavar="auto|HOST:PORT", help="Use a Ray cluster, also for the shots of one video.")
    ] = None,
    device: Annotated[str, hardware(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = Settings.device,
    max_memory: Annotated[str | None, hardware(metavar="SIZE", help="Memory to stay under, such as 8G.")] = None,
    weights: Annotated[Path | None, hardware(metavar="PATH", help="Weight file, or folder of weight files.")] = None,
    offline: Annotated[bool, hardware("--offline", help="Never use the network.")] = False,
    quiet: Annotated[bool, logs("--quiet", "-q", help="Only print errors.")] = False,
    verbose: Annotated[bool, logs("--verbose", "-v", help="Print more, and tracebacks for bugs.")] = False,
    log_json: Annotated[Path | None, logs(metavar="FILE", help="Append events, one JSON object per line.")] = None,
    doctor: Annotated[
        bool, advanced("--doctor", help="Same as deflicker doctor.", callback=_run_doctor, is_eager=True)
    ] = False,
    help_all: Annotated[
        bool,
        logs("--help-all", help="Show all options and exit.", callback=show_all_help, is_eager=True),
    ] = False,
    version: Annotated[
        bool, logs("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    autoencoder: Annotated[
        str | None, advanced(metavar="own|PATH", help="Autoencoder for --space latent. (default: own)")
    ] = None,
    decoder: Annotated[
        str | None, advanced(metavar="NAME", help="FFmpeg video decoder. (default: FFmpeg's choice)")
    ] = None,
    encoder_preset: Annotated[str | None, advanced(metavar="NAME", help="Speed preset of the encoder.")] = None,
    compare_style: Annotated[
        str, advanced(metavar="side|split", help="Before and after side by side, or split by a divider.")
    ] = "side",
    lpips: Annotated[bool, advanced("--lpips/--no-lpips", help="Use LPIPS in the report.")] = True,
    precision: Annotated[
        str, advanced(metavar="auto|fp32|bf16|fp16", help="Arithmetic of the flow network.")
    ] = Settings.precision,
) -> int:
    """Remove flicker from a video, and change nothing else.

    Audio, subtitles, timing and metadata are carried over; frames that need no correction are not changed.

    More commands, each with its own --help: deflicker measure, preview, fvd and doctor.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 input unreadable,
    4 output exists or cannot be written, 5 weights not available, 130 interrupted.
    """
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
        format=form,  # type: ignore[arg-type]
        fps=read_optional(parse_rate, fps, "--fps"),
        raw_video=raw_video,
        encoder_options=dict(read_option(key_and_value, option, "-e") for option in encoder_option or ()),
        start=read_optional(TimePoint.parse, start, "--start"),
        end=read_optional(TimePoint.parse, end, "--end"),
        weights=weights,
        offline=offline,
        overwrite=overwrite,
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
    if isinstance(command, VideoCommand):
        command = replace(command, pipeline=ctx.obj)
        check_log_path(log_json, command.source, command.target)
    return execute(replace(command, quiet=quiet, verbose=verbose, log_json=log_json))


def command_for(paths: list[Path], batch: Batch, options: RunOptions) -> Command:
    """The command for one video or for many, whichever the options ask for.

    Raises SettingsError if they do not go together.
    """
    if batch.output_dir is not None or batch.suffix:
        if STREAM in paths:
            raise SettingsError("pipes are for one video: leave out --output-dir and --suffix")
        for option, path in (("--report", options.report), ("--compare", options.compare)):
            if path is not None and path.name != str(path):
                raise SettingsError(
                    f"{option}: {path} names a folder, but each of many videos gets its own file next to its output: "
                    "give a file name only"
                )
        return BatchCommand(options=options, inputs=tuple(paths), batch=replace(batch, beside=options.compare))
    if batch.recursive or batch.skip_existing or (batch.jobs and not batch.ray):
        raise SettingsError(
            "--recursive, --jobs and --skip-existing are for many videos: give --output-dir or --suffix"
        )
    if batch.ray and STREAM in paths:
        raise SettingsError("other machines cannot read a pipe: leave out --ray, or store the video in a file first")
    if len(paths) > 2:
        raise SettingsError(
            f"{paths[2]} is one name too many; usage: deflicker IN OUT, "
            "or for many videos deflicker IN... --output-dir FOLDER"
        )
    if len(paths) < 2:
        raise SettingsError("OUT is missing; usage: deflicker IN OUT")
    return VideoCommand(options=options, source=paths[0], target=paths[1], ray=batch.ray, jobs=batch.jobs)

"""`deflicker IN OUT`: options become Settings, errors become one line and an exit code.

The only module that prints or exits. Nothing heavy is imported before the paths are known to be good.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

import typer

from deflicker.cli import measure_command as commands
from deflicker.cli.arguments import (
    correction,
    hardware,
    key_and_value,
    logs,
    many,
    output,
    read_option,
    read_optional,
    source,
)
from deflicker.cli.batch import Batch
from deflicker.cli.checks import check_extras, check_log_path, check_paths
from deflicker.cli.completion import command_asked_for, first_word
from deflicker.cli.exit_codes import explain
from deflicker.cli.json_log import JsonLog, records_to
from deflicker.cli.preview import command as preview
from deflicker.cli.progress_bar import batch_bar, progress_bar
from deflicker.cli.run import BatchJob, Job, correct, correct_all, job_of, look_ahead
from deflicker.cli.signals import interruptible
from deflicker.core.errors import SettingsError
from deflicker.core.malloc import use_single_arena
from deflicker.core.options import StreamFormat
from deflicker.core.presets import ABLATIONS, PRESETS
from deflicker.core.settings import CompareStyle, Settings
from deflicker.core.values import RawVideo, Span, TimePoint, parse_rate, parse_reference, parse_size
from deflicker.core.version import __version__

# --- Options ----------------------------------------------------------------------------------------------------------

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})

COMMANDS: dict[str, typer.Typer] = commands.COMMANDS | {"preview": preview.app}
"""Further commands by name, `deflicker NAME …`. A file with such a name is still reached as `./NAME`."""


def _show_version(asked: bool) -> None:
    if asked:
        print(f"deflicker {__version__}")
        raise typer.Exit


def _show_doctor(asked: bool) -> None:
    if asked:
        from deflicker.cli.doctor import examine

        findings = examine()
        for finding in findings:
            print(f"{finding.subject:<12} {finding.text}")
        raise typer.Exit(max(finding.exit_code for finding in findings))


@app.command()
def parse(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN OUT",
            help="The video to correct and the one to write; - is a pipe.",
            autocompletion=first_word(lambda: COMMANDS),
        ),
    ],
    *,
    strength: Annotated[float, correction(min=0, max=1, help="How much of it to apply.")] = Settings.strength,
    preset: Annotated[str, correction(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    anchor: Annotated[float, correction(min=0, max=1, help="How much drift to take back.")] = Settings.anchor,
    reference: Annotated[
        str | None, correction(metavar="FRAME|IMAGE", help="Drift from what. (default: chosen)")
    ] = None,
    guide: Annotated[Path | None, correction(metavar="FILE", help="Steady twin video to see motion in.")] = None,
    exclude: Annotated[
        list[str] | None, correction(metavar="START-END", help="Leave this part as it is; repeatable.")
    ] = None,
    keep_flashes: Annotated[bool, correction("--keep-flashes", help="Leave weak flashes of light as well.")] = False,
    space: Annotated[str | None, correction(metavar="auto|pixel|latent|both", help="Where to mend texture.")] = None,
    autoencoder: Annotated[str | None, correction(metavar="own|PATH", help="Whose latents. (default: own)")] = None,
    start: Annotated[str | None, correction(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f (frame).")] = None,
    end: Annotated[str | None, correction(metavar="TIME", help="First frame to leave out.")] = None,
    overwrite: Annotated[bool, output("--overwrite", "-y", help="Replace OUT if it exists.")] = False,
    strict: Annotated[bool, output("--strict", help="Refuse a damaged input instead of keeping the rest.")] = False,
    resume: Annotated[bool, output("--resume", help="Keep progress, and go on where a run was interrupted.")] = False,
    decoder: Annotated[
        str | None, source(metavar="NAME", help="FFmpeg video decoder. (default: its own choice)")
    ] = None,
    codec: Annotated[str | None, output(metavar="NAME", help="FFmpeg video encoder. (default: as the source)")] = None,
    crf: Annotated[float | None, output(help="Quality, lower is better. (default: visually lossless)")] = None,
    encoder_preset: Annotated[str | None, output(metavar="NAME", help="Speed preset of the encoder.")] = None,
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
    report: Annotated[Path | None, output(metavar="FILE", help="Measure, and report: .html, .json or .csv.")] = None,
    compare: Annotated[Path | None, output(metavar="FILE", help="Also write a video of before and after.")] = None,
    compare_style: Annotated[str, output(metavar="side|split", help="Beside each other, or a divider.")] = "side",
    lpips: Annotated[bool, output("--lpips/--no-lpips", help="Whether the report uses LPIPS.")] = True,
    fps: Annotated[str | None, source(metavar="RATE", help="Frames a second of numbered images.")] = None,
    raw: Annotated[
        str | None, source("--rawvideo", metavar="WxH@FPS", help="IN is raw frames of --pix-fmt. (default: rgb24)")
    ] = None,
    output_dir: Annotated[Path | None, many(metavar="FOLDER", help="Take every name as IN, write them there.")] = None,
    suffix: Annotated[str, many(metavar="TEXT", help="The same; added to each name.", show_default=False)] = "",
    recursive: Annotated[bool, many("--recursive", "-r", help="Look into folders of folders too.")] = False,
    jobs: Annotated[
        int | None, many("--jobs", "-j", min=1, help="Videos at a time. (default: 1, or see --ray)")
    ] = None,
    ray: Annotated[
        str | None, many(metavar="auto|HOST:PORT", help="Use a Ray cluster, also for the shots of one.")
    ] = None,
    skip_existing: Annotated[bool, many("--skip-existing", help="Leave out what has its output already.")] = False,
    dry_run: Annotated[bool, output("--dry-run", help="Say what would be done; write nothing.")] = False,
    device: Annotated[str, hardware(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = Settings.device,
    precision: Annotated[
        str, hardware(metavar="auto|fp32|bf16|fp16", help="Arithmetic of the flow.")
    ] = Settings.precision,
    max_memory: Annotated[str | None, hardware(metavar="SIZE", help="Memory to stay under, such as 8G.")] = None,
    weights: Annotated[Path | None, hardware(metavar="PATH", help="Weight file, or folder of them.")] = None,
    offline: Annotated[bool, hardware("--offline", help="Never touch the network.")] = False,
    without: Annotated[
        list[str] | None, typer.Option(hidden=True, metavar="|".join(ABLATIONS), help="Switch a term off; repeatable.")
    ] = None,
    quiet: Annotated[bool, logs("--quiet", "-q", help="Say errors only.")] = False,
    verbose: Annotated[bool, logs("--verbose", "-v", help="Say more; tracebacks for bugs.")] = False,
    log_json: Annotated[Path | None, logs(metavar="FILE", help="Append events, one JSON object a line.")] = None,
    doctor: Annotated[
        bool, logs("--doctor", help="Examine this installation and exit.", callback=_show_doctor, is_eager=True)
    ] = False,
    version: Annotated[
        bool, logs("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> Job | BatchJob:
    """Take the flicker out of a video, and nothing else.

    Audio, subtitles, timing and metadata are carried over; frames that need no correction are not changed.

    Exit codes: 0 done, 1 failed, 2 usage, 3 input unreadable, 4 output exists
    or unwritable, 5 weights unavailable, 130 interrupted.
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
        space=space,  # type: ignore[arg-type]
        autoencoder=autoencoder,
        without=frozenset(without or ()),
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
    return job_of(
        paths,
        Batch(output_dir, suffix, recursive, jobs, skip_existing, ray),
        settings=settings, report=report, compare=compare, compare_style=compare_style, lpips=lpips,
        dry_run=dry_run, quiet=quiet, verbose=verbose, log_json=log_json,
    )  # fmt: skip


# --- The run ----------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS[words.pop(0)] if words and words[0] in COMMANDS else app
    if name := command_asked_for(os.environ, COMMANDS):
        command = COMMANDS[name]
        typer.main.get_command(app)  # which makes typer know the shells
    job: Any = None
    # Threads that spin while they wait take the cores from decoder and encoder. Read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    use_single_arena()
    try:
        with interruptible():
            job = command(words, prog_name="deflicker", standalone_mode=False)
            ours = isinstance(job, Job | BatchJob)
            code = job if isinstance(job, int) else run(job) if ours else do(job) if job else 0
    except SystemExit as end:  # shell completion
        code = end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # every end of a run gets its line and its code
        code, text = explain(error)
        print(f"deflicker: {text}", file=sys.stderr)
        if getattr(job, "verbose", False):
            traceback.print_exception(error)
    sys.exit(code)


def run(job: Job | BatchJob) -> int:
    """Do what a command line asks for; every event goes to its log."""
    if isinstance(job, BatchJob):
        return run_batch(job)
    check_log_path(job.log_json, job.source, job.target)
    with JsonLog(job.log_json) as log, records_to(Stderr(job.level), log):
        log.event("start", version=__version__, source=job.source, target=job.target, settings=vars(job.settings))
        try:
            check_paths(job.source, job.target, job.settings.overwrite)
            check_extras(job.source, job.target, job.report, job.compare, overwrite=job.settings.overwrite)
            lines = look_ahead(job, log) if job.dry_run else correct(job, log)
        except BaseException as error:
            code, text = explain(error)
            log.event("error", type=type(error).__name__, message=text, exit_code=code)
            raise
    if not job.quiet:
        print("\n".join(lines), file=sys.stderr)
    return 0


def run_batch(job: BatchJob) -> int:
    """The same for many videos: names of what was written go to stdout, the rest is for people."""
    out = None if sys.stdout.isatty() else sys.stdout  # on a terminal, above the bar
    with JsonLog(job.log_json) as log, batch_bar(quiet=job.quiet) as bar, records_to(Stderr(job.level), log):
        log.event("start", version=__version__, inputs=job.inputs, batch=vars(job.batch), settings=vars(job.settings))
        for outcome in correct_all(job, log, bar):
            if outcome.state == "done" and str(job.log_json) != "-":
                print(outcome.task.target, file=out, flush=True)
            if not job.quiet or outcome.state == "failed":
                print(f"{outcome.state}: {outcome.task.source}: {outcome.words}", file=sys.stderr)
    if not job.quiet:
        print(f"videos: {bar.words}", file=sys.stderr)
    return 1 if bar.states["failed"] else 0


def do(errand: commands.Errand) -> int:
    """Do what another command asks for; its result goes to stdout."""
    errand.check()
    if isinstance(errand, preview.Preview):
        print("\n".join(errand.greet()), flush=True)
    shown = not errand.quiet and sys.stderr.isatty()
    with records_to(Stderr(logging.WARNING)), progress_bar(shown=shown) as show:
        lines = errand.run(show)
    if lines:
        print("\n".join(lines))
    return 0


# --- What the user sees -----------------------------------------------------------------------------------------------


class Stderr(logging.Handler):
    """One line for each log record."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"deflicker: {record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)

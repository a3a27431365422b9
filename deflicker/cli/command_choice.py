"""Which command the names and options of one command line ask for: one video, or many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deflicker.cli.batch import Batch
from deflicker.cli.batch_command import BatchCommand
from deflicker.cli.checks import STREAM, check_source, numbered
from deflicker.cli.command import Command
from deflicker.cli.run_options import RunOptions
from deflicker.cli.video_command import VideoCommand
from deflicker.core.errors import SettingsError


def suggested_output(source: Path) -> Path:
    """A name for the output next to the input: `clip.mp4` gives `clip_steady.mp4`."""
    if not source.name or source == STREAM:
        return Path("steady.mp4")
    return source.with_name(f"{source.stem}_steady{source.suffix}")


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
        images = numbered(paths[0])
        many = f"for numbered images {images}" if images else "for many videos deflicker IN... --output-dir FOLDER"
        raise SettingsError(f"{paths[2]} is one name too many; usage: deflicker IN OUT, or {many}")
    if len(paths) < 2:
        check_source(paths[0])
        raise SettingsError(f"OUT is missing; try: deflicker {paths[0]} {suggested_output(paths[0])}")
    return VideoCommand(options=options, source=paths[0], target=paths[1], ray=batch.ray, jobs=batch.jobs)

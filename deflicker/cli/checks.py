"""Mistakes in a command line that show before anything heavy is imported."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path

from deflicker.cli.usage import COMMANDS
from deflicker.core.errors import InputError, OutputError, SettingsError
from deflicker.media.image_pattern import IMAGES, image_sequence
from deflicker.report.export import check as check_report

STREAM = Path("-")
"""Standard input or output."""


def check_source(source: Path) -> None:
    """A video can be there at all."""
    if source == STREAM or source.is_fifo() or image_sequence(source):
        return
    if not source.exists():
        raise InputError(f"{source}: no such file{_meant(source)}")
    if source.is_dir():
        first = next((path for path in sorted(source.iterdir()) if numbered(path)), None)
        images = f", or for its images {numbered(first)}" if first else ""
        raise InputError(f"{source}: is a folder; for its videos add --output-dir FOLDER{images}")
    if not source.is_file():
        raise InputError(f"{source}: is not a regular file; give a video file")
    if source.stat().st_size == 0:
        raise InputError(f"{source}: is empty (0 bytes)")


def _meant(source: Path) -> str:
    """What a name that leads nowhere may have been meant as."""
    name = str(source)
    if re.match(r"\w{2,}:/", name):
        return ": an address cannot be read; download the video first"
    if "*" in name:
        return "; for many videos add --output-dir FOLDER, for numbered images give a name such as frames/%05d.png"
    near = get_close_matches(name, COMMANDS, 1)
    return f"; did you mean: deflicker {near[0]}?" if near else ""


def numbered(path: Path) -> Path | None:
    """The name of a whole sequence, such as `%05d.png`, for one of its images; None for anything else."""
    match = re.fullmatch(r"(.*?)(\d+)", path.stem)
    if match is None or path.suffix.lower() not in IMAGES:
        return None
    return path.with_name(f"{match[1].replace('%', '%%')}%0{len(match[2])}d{path.suffix}")


def check_paths(source: Path, target: Path, overwrite: bool) -> None:
    """Find the common mistakes in the time it takes to type them, before torch is imported."""
    check_source(source)
    if target == STREAM:
        return
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}; create it first")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{target}: the folder {target.parent} cannot be written to")
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise OutputError(f"{target}: is the input itself; write to another file")
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; give a file name, such as {target / source.name}")
    if not target.is_file():
        raise OutputError(f"{target}: is not a regular file; give a file name")
    if not overwrite:
        raise OutputError(f"{target}: already exists; use -y to replace it")


def check_extras(source: Path, target: Path, report: Path | None, compare: Path | None, *, overwrite: bool) -> None:
    """The report and the comparison must be other files than the input, the output and each other."""
    taken = {source.resolve(): "the input", target.resolve(): "the output"}
    for option, path in (("--report", report), ("--compare", compare)):
        if path is None:
            continue
        if (what := taken.get(path.resolve())) is not None:
            raise SettingsError(f"{option}: {path} is {what}; write to another file")
        taken[path.resolve()] = f"what {option} writes"
    if report is not None:
        check_report(report, overwrite=overwrite)


def check_log_path(log_json: Path | None, source: Path, target: Path) -> None:
    """Nothing may be appended to a video."""
    videos = [target] if log_json == source == STREAM else [source, target]  # that log goes to standard output
    if log_json and log_json.resolve() in [path.resolve() for path in videos]:
        raise SettingsError(f"--log-json: {log_json} is the input or the output; write the log to another file")

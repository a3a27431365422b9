"""`deflicker measure` and `deflicker fvd`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deflicker.cli.arguments import hardware, output, read_optional
from deflicker.cli.checks import check_source
from deflicker.cli.command import Command, execute
from deflicker.cli.console import Console
from deflicker.core.errors import InputError, SettingsError
from deflicker.core.presets import PRESETS
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.report.export import check as check_report


@dataclass(frozen=True, kw_only=True)
class MeasureCommand(Command):
    """Measure one video, or two that show the same: before and after."""

    source: Path
    other: Path | None
    settings: Settings
    report: Path | None
    lpips: bool
    json: bool

    def validate(self) -> None:
        for path in (self.source, self.other):
            if path is not None:
                check_source(path)
        if self.report is not None:
            check_report(self.report, overwrite=self.settings.overwrite)

    def run(self, console: Console) -> int:
        from deflicker.pipeline.measure import measure
        from deflicker.report.export import to_json
        from deflicker.report.text import coherence

        with console.progress() as on_progress:
            found = measure(self.source, self.other, self.settings, lpips=self.lpips, on_progress=on_progress)
        if self.report is not None:
            found.save(self.report, overwrite=self.settings.overwrite)
        console.result(*([to_json(found.to_dict()).rstrip()] if self.json else coherence(found)))
        return 0


@dataclass(frozen=True, kw_only=True)
class FvdCommand(Command):
    """Compare two sets of clips."""

    real: Path
    generated: Path
    settings: Settings
    json: bool

    def validate(self) -> None:
        for path in (self.real, self.generated):
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")

    def run(self, console: Console) -> int:
        from deflicker.pipeline.fvd import fvd
        from deflicker.report.text import distance

        with console.progress() as on_progress:
            found = fvd(self.real, self.generated, self.settings, on_progress=on_progress)
        console.result(*([json.dumps(found.to_dict(), indent=1)] if self.json else distance(found)))
        return 0


# --- Options ----------------------------------------------------------------------------------------------------------

_Device = Annotated[str, hardware(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")]
_Weights = Annotated[Path | None, hardware(metavar="FOLDER", help="Folder of weight files.")]
_Offline = Annotated[bool, hardware("--offline", help="Never use the network.")]
_Json = Annotated[bool, output("--json", help="Print JSON.")]
_Quiet = Annotated[bool, output("--quiet", "-q", help="Only print errors.")]
_Verbose = Annotated[bool, output("--verbose", "-v", help="Tracebacks for bugs.")]


def measure(
    source: Annotated[Path, typer.Argument(metavar="A", help="The video, or what it was before.", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(metavar="[B]", help="The same video after correction.", show_default=False)
    ] = None,
    *,
    report: Annotated[
        Path | None, output(metavar="FILE", help="Write a report: .html, .json or .csv.", show_default=False)
    ] = None,
    as_json: _Json = False,
    overwrite: Annotated[bool, output("--overwrite", "-y", help="Replace the report if it exists.")] = False,
    lpips: Annotated[bool, typer.Option(help="Also measure what needs LPIPS.")] = True,
    preset: Annotated[str, typer.Option(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="First frame to leave out.")] = None,
    device: _Device = Settings.device,
    weights: _Weights = None,
    offline: _Offline = False,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
) -> int:
    """Measure how stable a video is, or how much it changed from A to B."""
    settings = Settings(
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        start=read_optional(TimePoint.parse, start, "--start"),
        end=read_optional(TimePoint.parse, end, "--end"),
        device=device,
        weights=_folder(weights),
        offline=offline,
        overwrite=overwrite,
    )
    return execute(
        MeasureCommand(
            source=source, other=other, settings=settings, report=report, lpips=lpips, json=as_json,
            quiet=quiet, verbose=verbose,
        )
    )  # fmt: skip


def fvd(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder of videos, or one video.", show_default=False)],
    generated: Annotated[
        Path, typer.Argument(metavar="GENERATED", help="The same for the generated ones.", show_default=False)
    ],
    *,
    as_json: _Json = False,
    device: _Device = Settings.device,
    weights: _Weights = None,
    offline: _Offline = False,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
) -> int:
    """Fréchet video distance between two sets of clips. It takes hundreds of clips to mean anything."""
    settings = Settings(device=device, weights=_folder(weights), offline=offline)
    return execute(
        FvdCommand(real=real, generated=generated, settings=settings, json=as_json, quiet=quiet, verbose=verbose)
    )


def _folder(weights: Path | None) -> Path | None:
    """Several networks are used here, so one file is not enough."""
    if weights is not None and not weights.is_dir():
        raise SettingsError(f"--weights: {weights} is not a folder: give the folder of the weight files")
    return weights

"""`deflicker measure` and `deflicker fvd`: options become a command, which `cli.main` runs and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer

from deflicker.cli.checks import check_source
from deflicker.core.errors import InputError, SettingsError
from deflicker.core.presets import PRESETS
from deflicker.core.progress import Progress
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.report.export import check as check_report

OnProgress = Callable[[Progress], None]


class Errand(Protocol):
    """What a command line asks for."""

    quiet: bool
    verbose: bool

    def check(self) -> None:
        """Find the common mistakes before anything heavy is imported. Raises DeflickerError."""

    def run(self, on_progress: OnProgress) -> list[str]:
        """Do it; the lines to print to stdout."""


@dataclass(frozen=True)
class Measure:
    """One or two videos to be measured."""

    source: Path
    other: Path | None
    settings: Settings
    report: Path | None
    lpips: bool
    json: bool
    quiet: bool
    verbose: bool

    def check(self) -> None:
        for path in (self.source, self.other):
            if path is not None:
                check_source(path)
        if self.report is not None:
            check_report(self.report, overwrite=self.settings.overwrite)

    def run(self, on_progress: OnProgress) -> list[str]:
        from deflicker.pipeline.measure import measure
        from deflicker.report.export import to_json
        from deflicker.report.text import coherence

        found = measure(self.source, self.other, self.settings, lpips=self.lpips, on_progress=on_progress)
        if self.report is not None:
            found.save(self.report, overwrite=self.settings.overwrite)
        return [to_json(found.to_dict()).rstrip()] if self.json else coherence(found)


@dataclass(frozen=True)
class Distance:
    """Two sets of clips to be compared."""

    real: Path
    generated: Path
    settings: Settings
    json: bool
    quiet: bool
    verbose: bool

    def check(self) -> None:
        for path in (self.real, self.generated):
            if not path.exists():
                raise InputError(f"{path}: no such file or folder")

    def run(self, on_progress: OnProgress) -> list[str]:
        from deflicker.pipeline.fvd import fvd
        from deflicker.report.text import distance

        found = fvd(self.real, self.generated, self.settings, on_progress=on_progress)
        return [json.dumps(found.to_dict(), indent=1)] if self.json else distance(found)


# --- Options ----------------------------------------------------------------------------------------------------------

_CONTEXT = {"help_option_names": ["-h", "--help"]}
measure_app = typer.Typer(add_completion=False, context_settings=_CONTEXT)
fvd_app = typer.Typer(add_completion=False, context_settings=_CONTEXT)
output = partial(typer.Option, rich_help_panel="Output")
hardware = partial(typer.Option, rich_help_panel="Hardware and weights")

_Device = Annotated[str, hardware(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")]
_Weights = Annotated[Path | None, hardware(metavar="FOLDER", help="Folder of weight files.")]
_Offline = Annotated[bool, hardware("--offline", help="Never touch the network.")]
_Json = Annotated[bool, output("--json", help="Print JSON.")]
_Quiet = Annotated[bool, output("--quiet", "-q", help="No progress.")]
_Verbose = Annotated[bool, output("--verbose", "-v", help="Tracebacks for bugs.")]


@measure_app.command()
def parse_measure(
    source: Annotated[Path, typer.Argument(metavar="A", help="The video, or the one before.", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(metavar="[B]", help="The one after; it shows the same.", show_default=False)
    ] = None,
    *,
    report: Annotated[
        Path | None, output(metavar="FILE", help="Write a report: .html, .json or .csv.", show_default=False)
    ] = None,
    as_json: _Json = False,
    overwrite: Annotated[bool, output("--overwrite", "-y", help="Replace the report if it exists.")] = False,
    lpips: Annotated[bool, typer.Option(help="Also the metrics that need LPIPS.")] = True,
    preset: Annotated[str, typer.Option(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="First frame to leave out.")] = None,
    device: _Device = Settings.device,
    weights: _Weights = None,
    offline: _Offline = False,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
) -> Measure:
    """Measure how steady a video is, or how steady it became: A before, B after."""
    settings = Settings(
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        start=None if start is None else TimePoint.parse(start),
        end=None if end is None else TimePoint.parse(end),
        device=device,
        weights=_folder(weights),
        offline=offline,
        overwrite=overwrite,
    )
    return Measure(source, other, settings, report, lpips, as_json, quiet, verbose)


@fvd_app.command()
def parse_fvd(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder of videos, or one.", show_default=False)],
    generated: Annotated[
        Path, typer.Argument(metavar="GENERATED", help="The same for the others.", show_default=False)
    ],
    *,
    as_json: _Json = False,
    device: _Device = Settings.device,
    weights: _Weights = None,
    offline: _Offline = False,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
) -> Distance:
    """Fréchet video distance between two sets of clips; needs hundreds of them to mean anything."""
    settings = Settings(device=device, weights=_folder(weights), offline=offline)
    return Distance(real, generated, settings, as_json, quiet, verbose)


def _folder(weights: Path | None) -> Path | None:
    """Several networks are at work here, so one file will not do."""
    if weights is not None and not weights.is_dir():
        raise SettingsError(f"--weights: {weights} is no folder; give the folder that holds the files")
    return weights


COMMANDS = {"measure": measure_app, "fvd": fvd_app}

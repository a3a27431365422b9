"""`deflicker explain IN`: what flickers, when, how strongly, and which command to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deflicker.cli.arguments import hardware, read_optional
from deflicker.cli.checks import check_source
from deflicker.cli.command import Command, execute
from deflicker.cli.command_choice import suggested_output
from deflicker.cli.console import Console
from deflicker.core.presets import PRESETS
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint

if TYPE_CHECKING:
    from deflicker.report.explanation import Clock


@dataclass(frozen=True, kw_only=True)
class ExplainCommand(Command):
    """Measure one video, and say in plain words what flickers in it."""

    source: Path
    settings: Settings

    def validate(self) -> None:
        check_source(self.source)

    def run(self, console: Console) -> int:
        from deflicker.pipeline.measure import measure
        from deflicker.report.explanation import explanation

        clock = self._clock()

        with console.progress() as on_progress:
            found = measure(self.source, None, self.settings, lpips=False, on_progress=on_progress)
        console.result(*explanation(found, str(suggested_output(self.source)), clock))
        return 0

    def _clock(self) -> Clock:
        """Times of the video. A pipe cannot be looked at beforehand: its frames are numbered."""
        from deflicker.media.probe import probe
        from deflicker.report.explanation import Clock

        rate = probe(self.source).average_rate if self.source.is_file() else None
        start = self.settings.start
        if not rate or start is None:
            return Clock(float(rate or 0))
        return Clock(float(rate), float(start.frame / rate if start.frame is not None else start.seconds or 0))


def explain(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The video to look at.", show_default=False)],
    *,
    preset: Annotated[str, typer.Option(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="First frame: 90, 1:30.5 or 2700f.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="First frame to leave out.")] = None,
    device: Annotated[str, hardware(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = Settings.device,
    offline: Annotated[bool, hardware("--offline", help="Never use the network.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tracebacks for bugs.")] = False,
) -> int:
    """Say what kinds of flicker a video has, when, how strong, and which command to run. Writes nothing."""
    settings = Settings(
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        start=read_optional(TimePoint.parse, start, "--start"),
        end=read_optional(TimePoint.parse, end, "--end"),
        device=device,
        offline=offline,
    )
    return execute(ExplainCommand(source=source, settings=settings, quiet=quiet, verbose=verbose))

"""`deflicker preview`: options become an errand that serves the page until it is interrupted."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deflicker.cli.checks import check_source
from deflicker.core.presets import PRESETS
from deflicker.core.progress import Progress
from deflicker.core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from deflicker.cli.preview.server import PreviewServer

app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


@dataclass
class Preview:
    """One video to look at."""

    source: Path
    settings: Settings
    start: str
    seconds: str
    port: int
    browser: bool
    verbose: bool
    quiet: bool = True
    _server: PreviewServer | None = field(default=None, repr=False)

    def check(self) -> None:
        """Find the common mistakes before anything heavy is imported. Raises DeflickerError."""
        check_source(self.source)

    def greet(self) -> list[str]:
        """Open the door; where it is."""
        from deflicker.cli.preview.renderer import Workshop
        from deflicker.cli.preview.server import PreviewServer
        from deflicker.media.probe import probe

        probe(self.source)  # what is no video is said here, not on the page
        workshop = Workshop(self.source, self.settings)
        self._server = PreviewServer(workshop, port=self.port, start=self.start, seconds=self.seconds)
        return [self._server.address]

    def run(self, on_progress: Callable[[Progress], None]) -> list[str]:
        """Serve until interrupted."""
        assert self._server is not None
        try:
            if self.browser:  # one in the terminal returns only once it is closed
                threading.Thread(target=webbrowser.open, args=(self._server.address,), daemon=True).start()
            self._server.serve_forever()
        except KeyboardInterrupt:
            return []
        finally:
            self._server.server_close()
            self._server.workshop.close()
        return []


@app.command()
def parse(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The video to look at.", show_default=False)],
    *,
    strength: Annotated[float, typer.Option(min=0, max=1, help="Where its slider starts.")] = Settings.strength,
    preset: Annotated[str, typer.Option(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    anchor: Annotated[float, typer.Option(min=0, max=1, help="How much drift to take back.")] = Settings.anchor,
    start: Annotated[str, typer.Option(metavar="TIME", help="Where the excerpt starts.")] = "0",
    seconds: Annotated[str, typer.Option(metavar="N", help="How long it is, up to 30.")] = "4",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 is a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = Settings.device,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tracebacks for bugs.")] = False,
) -> Preview:
    """Look at a few seconds before and after on a page of this machine; Ctrl-C ends it."""
    settings = Settings(
        strength=strength,
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        anchor=anchor,
        device=device,
        offline=offline,
    )
    return Preview(source, settings, start, seconds, port, browser, verbose)

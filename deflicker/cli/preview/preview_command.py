"""`deflicker preview`: a page of before and after, served until interrupted."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deflicker.cli.checks import check_source
from deflicker.cli.command import Command, execute
from deflicker.cli.console import Console
from deflicker.core.presets import PRESETS
from deflicker.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class PreviewCommand(Command):
    """Serve the preview page of one video until interrupted."""

    source: Path
    settings: Settings
    start: str
    seconds: str
    port: int
    browser: bool

    def validate(self) -> None:
        check_source(self.source)

    def run(self, console: Console) -> int:
        from deflicker.cli.preview.renderer import ExcerptRenderer
        from deflicker.cli.preview.server import PreviewServer
        from deflicker.media.probe import probe

        probe(self.source)  # what is not a video is refused here, not on the page
        renderer = ExcerptRenderer(self.source, self.settings)
        server = PreviewServer(renderer, port=self.port, start=self.start, seconds=self.seconds)
        console.result(server.address)
        try:
            if self.browser:  # one in the terminal returns only once it is closed
                threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
            server.serve_forever()
        except KeyboardInterrupt:  # which is how it ends
            return 0
        finally:
            server.server_close()
            renderer.close()
        return 0


def preview(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The video to preview.", show_default=False)],
    *,
    strength: Annotated[float, typer.Option(metavar="0..1", help="Initial strength.")] = Settings.strength,
    preset: Annotated[str, typer.Option(metavar="|".join(PRESETS), help="Speed against quality.")] = Settings.preset,
    anchor: Annotated[float, typer.Option(metavar="0..1", help="How much slow drift to remove.")] = Settings.anchor,
    start: Annotated[str, typer.Option(metavar="TIME", help="Start of the excerpt.")] = "0",
    seconds: Annotated[str, typer.Option(metavar="N", help="Length of the excerpt, up to 30.")] = "4",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 for any free port.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = Settings.device,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tracebacks for bugs.")] = False,
) -> int:
    """Compare a few seconds before and after in the browser. Ctrl-C ends it."""
    settings = Settings(
        strength=strength,
        preset=preset,  # type: ignore[arg-type]  # Settings checks it
        anchor=anchor,
        device=device,
        offline=offline,
    )
    return execute(
        PreviewCommand(
            source=source, settings=settings, start=start, seconds=seconds, port=port, browser=browser, verbose=verbose
        )
    )

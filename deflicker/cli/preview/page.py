"""The preview page: two videos on top of each other with a divider, a plot beneath, and the command to run."""

from __future__ import annotations

from pathlib import Path

from deflicker.core.presets import PRESETS
from deflicker.core.settings import Settings
from deflicker.report.templating import REPORT_TEMPLATES, asset, render_template

_TEMPLATES = Path(__file__).parent / "templates"


def page(name: str, settings: Settings, *, start: str, seconds: str) -> str:
    """HTML of the page for a video of this name; settings, `start` and `seconds` give its controls' first values."""
    return render_template(
        _TEMPLATES / "preview.html",
        name=name,
        strength=settings.strength,
        preset=settings.preset,
        presets=list(PRESETS),
        anchor=settings.anchor,
        start=start,
        seconds=seconds,
        css=asset(REPORT_TEMPLATES / "report.css") + asset(_TEMPLATES / "preview.css"),
        script=asset(_TEMPLATES / "preview.js"),
    )

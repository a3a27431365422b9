"""The preview page: two videos on top of each other with a divider, a plot beneath, and the command to run."""

from __future__ import annotations

from pathlib import Path

from deflicker.report.templating import REPORT_TEMPLATES, asset, render_template

_TEMPLATES = Path(__file__).parent / "templates"


def page(name: str, *, strength: float, start: str, seconds: str) -> str:
    """HTML of the page for a video of this name; `strength`, `start` and `seconds` are its controls' first values."""
    return render_template(
        _TEMPLATES / "preview.html",
        name=name,
        strength=strength,
        start=start,
        seconds=seconds,
        css=asset(REPORT_TEMPLATES / "report.css") + asset(_TEMPLATES / "preview.css"),
        script=asset(_TEMPLATES / "preview.js"),
    )

"""HTML pages from templates: every value is escaped, styles and scripts are files beside the template."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

REPORT_TEMPLATES = Path(__file__).parent / "templates"


def render_template(path: Path, **values: object) -> str:
    """Fill in a template. Values are escaped unless they are `Markup`; a name without a value is an error."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name).render(**values)


def asset(path: Path) -> Markup:
    """A style sheet or script to place in a page as it is."""
    return Markup(path.read_text(encoding="utf-8"))  # ours, not the user's


def csp_hash(text: str) -> str:
    """The source expression by which a content security policy allows an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

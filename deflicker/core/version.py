"""The version of this program."""

from __future__ import annotations

from importlib import import_module, metadata


def _find() -> str:
    """The git tag's (see pyproject.toml): what the build wrote into the package, else what the installation says."""
    try:
        return str(import_module("deflicker._version").__version__)
    except ModuleNotFoundError:
        pass
    try:
        return str(metadata.version("video-deflicker"))
    except metadata.PackageNotFoundError:
        return "0+unknown"


__version__ = _find()

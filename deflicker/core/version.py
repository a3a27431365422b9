"""The version of this program and of the libraries that its results depend on."""

from __future__ import annotations

import contextlib
import platform
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


def versions() -> dict[str, str]:
    """Versions to state in a report: of this program, Python, and the libraries that are installed."""
    found = {"deflicker": __version__, "Python": platform.python_version()}
    for package in ("torch", "torchvision", "av", "lpips"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found

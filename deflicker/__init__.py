"""Take the flicker out of any video, and nothing else.

    from deflicker import Settings, deflicker, deflicker_frames

    report = deflicker("in.mp4", "out.mp4", Settings(strength=0.8))
    for frame in deflicker_frames(frames, fps=24): ...

Conventions, everywhere in the package:

* Frames are `[T, 3, H, W]` float R'G'B' in `[0, 1]`, one of them `[3, H, W]`.
* Flow is `[T, 2, H, W]` in pixels, (dx, dy), named `flow_px`; visibility is `[T, 1, H, W]` in `[0, 1]`.
* Time is `int pts` times `Fraction time_base`; seconds are for display only.
* Names carry units: `flow_px`, `duration_s`, `max_side_px`; `strength` goes from 0 to 1.

Importing this package is cheap: torch and PyAV are imported when a function is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deflicker.api import deflicker, deflicker_frames, plan
    from deflicker.clip_distance import fvd
    from deflicker.coherence import measure
    from deflicker.errors import (
        Cancelled,
        DeflickerError,
        DeviceError,
        InputError,
        OutputError,
        SettingsError,
        WeightsError,
    )
    from deflicker.raw_video import RawVideo
    from deflicker.report.measures import Guard, Measures, Metric, Verdict
    from deflicker.report.model import Flicker, Fvd, Measurement, Plan, Progress, Report, WindowReport
    from deflicker.session import Deflicker
    from deflicker.settings import Settings, Span, TimePoint

    __version__: str

_HOMES = {
    "deflicker.api": ("deflicker", "deflicker_frames", "plan"),
    "deflicker.session": ("Deflicker",),
    "deflicker.raw_video": ("RawVideo",),
    "deflicker.settings": ("Settings", "Span", "TimePoint"),
    "deflicker.coherence": ("measure",),
    "deflicker.clip_distance": ("fvd",),
    "deflicker.report.model": ("Flicker", "Fvd", "Measurement", "Plan", "Progress", "Report", "WindowReport"),
    "deflicker.report.measures": ("Guard", "Measures", "Metric", "Verdict"),
    "deflicker.errors": (
        "Cancelled",
        "DeflickerError",
        "DeviceError",
        "InputError",
        "OutputError",
        "SettingsError",
        "WeightsError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Cancelled",
    "Deflicker",
    "DeflickerError",
    "DeviceError",
    "Flicker",
    "Fvd",
    "Guard",
    "InputError",
    "Measurement",
    "Measures",
    "Metric",
    "OutputError",
    "Plan",
    "Progress",
    "RawVideo",
    "Report",
    "Settings",
    "SettingsError",
    "Span",
    "TimePoint",
    "Verdict",
    "WeightsError",
    "WindowReport",
    "__version__",
    "deflicker",
    "deflicker_frames",
    "fvd",
    "measure",
    "plan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _version() if name == "__version__" else getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def _version() -> str:
    """The git tag's (see pyproject.toml): what the build wrote beside this file, else what the installation says."""
    try:
        return str(import_module("deflicker._version").__version__)
    except ModuleNotFoundError:
        metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("video-deflicker"))
    except metadata.PackageNotFoundError:
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

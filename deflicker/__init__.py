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
    from deflicker.core.errors import (
        Cancelled,
        DeflickerError,
        DeviceError,
        InputError,
        OutputError,
        SettingsError,
        WeightsError,
    )
    from deflicker.core.progress import Progress
    from deflicker.core.settings import Settings
    from deflicker.core.values import RawVideo, Span, TimePoint
    from deflicker.core.version import __version__
    from deflicker.pipeline.fvd import fvd
    from deflicker.pipeline.measure import measure
    from deflicker.pipeline.session import Deflicker
    from deflicker.pipeline.video import deflicker, deflicker_frames, plan
    from deflicker.report.model import Flicker, Fvd, Measurement, Plan, Report, WindowReport
    from deflicker.report.results import Guard, Measures, Metric, Verdict

_HOMES = {
    "deflicker.pipeline.video": ("deflicker", "deflicker_frames", "plan"),
    "deflicker.pipeline.session": ("Deflicker",),
    "deflicker.core.values": ("RawVideo",),
    "deflicker.core.progress": ("Progress",),
    "deflicker.core.settings": ("Settings", "Span", "TimePoint"),
    "deflicker.pipeline.measure": ("measure",),
    "deflicker.pipeline.fvd": ("fvd",),
    "deflicker.report.model": ("Flicker", "Fvd", "Measurement", "Plan", "Report", "WindowReport"),
    "deflicker.report.results": ("Guard", "Measures", "Metric", "Verdict"),
    "deflicker.core.version": ("__version__",),
    "deflicker.core.errors": (
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
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

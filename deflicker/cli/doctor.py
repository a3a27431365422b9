"""`deflicker doctor`: what this installation has and lacks."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from deflicker.cli.command import Command, execute
from deflicker.cli.console import Console
from deflicker.core import weights
from deflicker.core.errors import DeflickerError, WeightsError
from deflicker.core.presets import PRESETS
from deflicker.core.version import __version__

ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks", "ffv1")


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    subject: str
    text: str
    exit_code: int = 0
    """0 if it works, else the exit code that a run would end with."""


@dataclass(frozen=True, kw_only=True)
class DoctorCommand(Command):
    """Print what was found; the exit code is that of the worst finding."""

    def validate(self) -> None:
        """There is nothing to get wrong."""

    def run(self, console: Console) -> int:
        findings = examine()
        console.result(*(f"{finding.subject:<12} {finding.text}" for finding in findings))
        return max(finding.exit_code for finding in findings)


def doctor() -> int:
    """Check this installation: device, encoders, weights."""
    return execute(DoctorCommand())


def examine() -> list[Finding]:
    """Check everything that a run needs. Loads torch; never uses the network."""
    return [
        Finding("deflicker", __version__),
        Finding("python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})"),
        _try("torch", _torch),
        _try("device", _device),
        _try("av", _av),
        _try("encoders", _encoders),
        *_weights(),
        Finding("cache", str(weights.cache_folder())),
    ]


def _try(subject: str, look: Callable[[], str]) -> Finding:
    """The check survives whatever is broken."""
    try:
        return Finding(subject, look())
    except Exception as error:
        code = error.exit_code if isinstance(error, DeflickerError) else 1
        return Finding(subject, f"does not work: {type(error).__name__}: {error}", code)


def _torch() -> str:
    import torch

    return f"{torch.__version__} with CUDA {torch.version.cuda or 'no'}, torchvision {version('torchvision')}"


def _device() -> str:
    from deflicker.core.device import choose

    device = choose()
    return f"{device.torch_device}: {device.reason}"


def _av() -> str:
    import av

    libraries = ", ".join(f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    return f"{av.__version__} with FFmpeg {av.ffmpeg_version_info}: {libraries}"


def _encoders() -> str:
    import av

    missing = [name for name in ENCODERS if name not in av.codecs_available]
    return ", ".join(name for name in ENCODERS if name not in missing) + (
        f"; not {', '.join(missing)}" if missing else ""
    )


def _weights() -> list[Finding]:
    """Where the weights of the presets' flow networks are."""
    try:
        from deflicker.motion.raft.network import FLOW_NETWORKS
    except Exception:  # torch does not work, which is another finding
        return []
    found = []
    for name in sorted({preset.flow_network for preset in PRESETS.values()}):
        if path := weights.locate(FLOW_NETWORKS[name]):
            found.append(Finding(name, str(path)))
        else:
            found.append(Finding(name, "not in the cache; the first run downloads it", WeightsError.exit_code))
    return found

"""What must be the same for one run to go on with what another has found out."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import torch

from deflicker.core.device import Device
from deflicker.core.presets import Preset
from deflicker.core.settings import NOT_OF_CORRECTIONS, Settings
from deflicker.core.version import __version__
from deflicker.media.image_pattern import image_sequence

_PART_BYTES = 1 << 20
"""Bytes at either end of a file that are looked at."""
_NO_MATTER = NOT_OF_CORRECTIONS | {
    *("strict", "offline"),
    # These go by what they come to.
    *("device", "precision", "preset", "max_memory", "weights", "guide", "reference"),
}


def run_fingerprint(source: Path, settings: Settings, preset: Preset, device: str) -> dict[str, str]:
    """All that a correction depends on, by what it is called. Raises OSError where a file cannot be read.

    device: see `device_name`.
    """
    reference = settings.reference
    found = {
        "the video": _files(source),
        "the guide": _files(settings.guide) if settings.guide else "",
        "the reference": _files(reference) if isinstance(reference, Path) else repr(reference),
        "the preset": repr(preset),
        "the device": device,
        "the weights": _weights(settings.weights),
        "the autoencoder": _weights(path) if (path := settings.autoencoder_path) else "",
        "the program": _program(),
    }
    for each in fields(settings):
        if each.name not in _NO_MATTER:
            value = getattr(settings, each.name)
            found[f"the setting {each.name}"] = repr(sorted(value) if isinstance(value, frozenset) else value)
    return found


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not the same."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _files(path: Path) -> str:
    """What tells one video file, or one row of numbered images, from another."""
    images = image_sequence(path)
    paths = [images.file(number) for number in images.numbers()] if images else [path]
    digest = hashlib.sha256()
    for each in paths:
        about = each.stat()
        digest.update(f"{each.name if images else ''} {about.st_size} {about.st_mtime_ns}\n".encode())
    for each in paths[:1] + paths[1:][-1:]:
        with each.open("rb") as file:
            digest.update(file.read(_PART_BYTES))
            file.seek(max(0, os.fstat(file.fileno()).st_size - _PART_BYTES))
            digest.update(file.read(_PART_BYTES))
    return digest.hexdigest()


def device_name(device: Device) -> str:
    """What must be the same about a device."""
    where = device.torch_device
    return f"{torch.cuda.get_device_name(where) if where.type == 'cuda' else where.type} {device.dtype}"


def _weights(path: Path | None) -> str:
    """Of weights that the user gave. Others are those that the program's own source names the hashes of."""
    if path is None:
        return "usual"
    files = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _program() -> str:
    """This program and what computes for it, its own source included: a version may still be worked on."""
    versions = __version__, torch.__version__, version("av"), version("numpy"), platform.machine()
    digest = hashlib.sha256(" ".join(versions).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()

"""Tell a damaged file, of which the rest is worth reading, from a disk that fails, where the rest is lost for now."""

from __future__ import annotations

import errno
from pathlib import Path

import av

from deflicker.errors import InputError

_STORAGE_LOST = {
    getattr(errno, name)
    for name in ("ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "ETIMEDOUT", "ECONNRESET", "EREMOTEIO", "EHOSTDOWN")
    if hasattr(errno, name)
}
"""Errors of a disk or share that is gone."""


def check_storage(path: Path, error: OSError | av.FFmpegError) -> None:
    """Raise InputError where reading failed for a reason outside the file.

    Demuxers report truncated files as EIO too, so in this case the file is read once, without understanding it.
    """
    lost = error.errno in _STORAGE_LOST
    if error.errno == errno.EIO:
        try:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass
        except OSError as found:
            lost, error = True, found
    if lost:
        raise InputError(f"{path} could not be read to its end: {error.strerror}: check its disk or network") from error

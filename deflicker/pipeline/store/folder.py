"""The folder beside OUT in which what is found out about a video is kept, and the circumstances it was found under."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from deflicker.core.errors import OutputError
from deflicker.core.files import fitting, lock_folder, remove_locked
from deflicker.pipeline.store.block_files import PART, PartFile
from deflicker.pipeline.store.fingerprint import differences

log = logging.getLogger("deflicker")

_ABOUT, _LOCK = "about.json", "lock"


def folder_of(target: Path) -> Path:
    """Where progress towards an output is kept."""
    return target.with_name(f".{fitting(target.name, len('..deflicker-resume'))}.deflicker-resume")


class Store:
    """The folder while one run has it. Raises OutputError where another has, or it cannot be made."""

    def __init__(self, target: Path) -> None:
        self.path = folder_of(target)
        try:
            self._lock = lock_folder(self.path, _LOCK)
        except BlockingIOError:
            raise OutputError(
                f"{target} is being written by another run that keeps its progress: wait for it, or choose another name"
            ) from None
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def begin(self, fingerprint: dict[str, str]) -> bool:
        """Whether what is there was found under the same circumstances. If not, it is removed. Raises OSError."""
        self.remove_parts()
        try:
            before: dict[str, str] | None = dict(self.unsealed(_ABOUT))
        except (OSError, ValueError):
            before = None
        if before == fingerprint:
            return True
        if before is not None:
            other = differences(before, fingerprint)
            what = f"{', '.join(other)} {'differs' if len(other) == 1 else 'differ'}"
            log.warning("the saved progress of an earlier run is not used, because %s: starting over", what)
        self.clear(fingerprint)
        return False

    def clear(self, fingerprint: dict[str, str]) -> None:
        """Remove what is there; what is to come is found under these circumstances. Raises OSError."""
        for path in self.path.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self.seal(_ABOUT, fingerprint)

    def is_empty(self) -> bool:
        """Whether nothing has been found out."""
        return all(path.name in (_ABOUT, _LOCK) or path.name.endswith(PART) for path in self.path.iterdir())

    def seal(self, name: str, value: object) -> None:
        """Write JSON with its hash. Raises OSError."""
        text = json.dumps(value).encode()
        with contextlib.closing(PartFile(self.path / name)) as file:
            file.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
            file.complete()
        _force_folder(self.path)

    def unsealed(self, name: str) -> Any:
        """What `seal` wrote. Raises OSError, or ValueError where it is damaged."""
        expected, _, text = (self.path / name).read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != expected:
            raise ValueError(f"{name} is damaged")
        return json.loads(text)

    def remove_parts(self) -> None:
        """Remove what is not complete."""
        with contextlib.suppress(OSError):
            for path in self.path.glob(f"*{PART}"):
                path.unlink()

    def close(self, *, remove: bool) -> None:
        """Let go of it; with all that is in it where it is to be removed."""
        self.remove_parts()
        if remove:
            remove_locked(self.path, self._lock)
        else:
            self._lock.release()


def _force_folder(path: Path) -> None:
    """Names, too, are on the disk only when that is asked for; not every system can."""
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

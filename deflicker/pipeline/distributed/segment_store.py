"""Pieces of a film that are decided, kept beside the output until it is complete: an interrupted run goes on there."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from dataclasses import fields
from pathlib import Path

from deflicker.core.errors import OutputError
from deflicker.core.files import Lock
from deflicker.core.settings import NOT_OF_CORRECTIONS, Settings
from deflicker.core.version import __version__
from deflicker.pipeline.distributed.segments import Piece

log = logging.getLogger("deflicker")


class PieceStore:
    """The folder beside the output in which pieces wait. Its name stands for the settings, a file's for the frames."""

    def __init__(self, target: Path, settings: Settings, motion: bool) -> None:
        self._target = target
        self._folder = target.with_name(f".{target.name}.{_key(settings, motion)}.shots")
        self._lock: Lock | None = None

    def path(self, piece: Piece) -> Path:
        """The file of a piece."""
        return self._folder / f"{piece.part.first}.{_digest(piece)}.corrections"

    def open(self) -> None:
        """Take the folder, and remove those of runs with other settings that were given up. Raises OutputError."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock = Lock(self._folder / "lock")
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot be written, or another run writes it: {error}") from error
        named = re.compile(rf"\.{re.escape(self._target.name)}\.[0-9a-f]{{12}}\.shots")
        for other in self._target.parent.iterdir():
            if named.fullmatch(other.name) and other != self._folder and not other.is_symlink():
                _remove_if_left(other)

    def close(self, *, complete: bool) -> None:
        """Let go; what an unfinished run has done stays for the next."""
        if self._lock is not None:
            self._lock.release()
        if complete or all(path.name.startswith(".") or path.name == "lock" for path in self._folder.iterdir()):
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            log.warning("what was done of %s is kept: the same command goes on from there", self._target)


def _remove_if_left(folder: Path) -> None:
    try:
        Lock(folder / "lock").release()
    except OSError:
        return  # somebody is at work there
    shutil.rmtree(folder, ignore_errors=True)


def _key(settings: Settings, motion: bool) -> str:
    """What stands for every setting that corrections hang on, and for the files that settings name."""
    paths = settings.guide, settings.reference, settings.weights, settings.autoencoder_path
    named = [path for path in paths if isinstance(path, Path)]
    stamps = [(str(path.resolve()), stat.st_size, stat.st_mtime_ns) for path in named for stat in [path.stat()]]
    values = {
        each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in NOT_OF_CORRECTIONS
    }
    return _digest(__version__, stamps, values | {"without": sorted(settings.without)}, motion)


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]

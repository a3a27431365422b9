"""Unfinished files: locked while somebody writes them, and removed by a later run where nobody does.

A run that ends cleans up after itself, but one that is killed cannot. Its lock dies with it, so whoever writes beside
the same place next can tell its leftover from the work of a run that goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed: that is the lock
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("deflicker")

_TRIES = 5
_LOCK = ".lock"
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def unfinished_name(path: Path) -> Path:
    """A name of its own beside `path`. The suffix stays last: FFmpeg chooses the container by it."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")


class Lock:
    """Creates an unfinished file and holds it until it is released, or the process ends. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        for _ in range(_TRIES):
            file = os.open(path, _OPEN | os.O_CREAT, 0o666)
            if fcntl is None:
                os.close(file)
                return
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = os.path.exists(path) and os.path.samestat(os.fstat(file), os.stat(path))
            except BlockingIOError:  # somebody looks whether it is a leftover, and removes it
                ours = False
            except OSError:  # a file system without locks
                ours = True
            if ours:
                self._file = file
                return
            os.close(file)
        raise OSError(f"{path} is being removed by somebody else")

    def sync(self) -> None:
        """Wait until what was written is on the disk. Raises OSError where it cannot be."""
        if self._file is not None:
            os.fsync(self._file)

    def release(self) -> None:
        """Let go; can be called again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def held_alone(folder: Path, name: str) -> Callable[[], None]:
    """Make a folder, where there is none, and hold it against other runs; call the result to let go.

    name: of the file in it that is locked. Raises BlockingIOError where another run holds it, OSError where it cannot
    be made.
    """
    for _ in range(_TRIES):
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise OSError(f"{folder} is a link")
        path = folder / name
        try:
            if fcntl is None and path.exists():
                path.unlink()  # which fails while it is open
            file = os.open(path, _OPEN | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # its holder has just removed it
        except PermissionError:
            if fcntl is None:
                raise BlockingIOError(f"{folder} is in use") from None
            raise
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return partial(os.close, file)
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(file)
            raise
        except OSError:  # a file system without locks
            return partial(os.close, file)
        os.close(file)
    raise OSError(f"{folder} is being removed by somebody else")


class UnfinishedFolder:
    """Creates a folder with a name of its own and holds it until it is closed, or the process ends. Raises OSError.

    What killed runs left of the same kind in the same place is removed first.
    """

    def __init__(self, parent: Path, prefix: str, suffix: str = "") -> None:
        sweep_folders(parent, prefix, suffix)
        for _ in range(_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
            try:
                self._release = held_alone(self.path, _LOCK)
            except BlockingIOError:  # somebody was quick to take it for a leftover, and removes it
                continue
            return
        raise OSError(f"folders in {parent} are removed by somebody else")

    def close(self) -> None:
        """Remove it with all that is in it."""
        remove_held(self.path, self._release)


def remove_held(folder: Path, release: Callable[[], None]) -> None:
    """Remove a folder that `held_alone` holds, and let go of it."""
    if fcntl is None:  # an open file cannot be removed
        release()
    shutil.rmtree(folder, ignore_errors=True)
    if fcntl is not None:
        release()


def sweep_folders(parent: Path, prefix: str, suffix: str = "") -> None:
    """Remove what killed runs left of `UnfinishedFolder` in a place, and say so."""
    pattern = re.compile(rf"{re.escape(prefix)}[a-z0-9_]{{8}}{re.escape(suffix)}")
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            # One without a lock is not of this kind, or has just been made.
            if not pattern.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False) or not _is_ours(entry):
                continue
            folder = Path(entry.path)
            if (folder / _LOCK).is_file():
                with contextlib.suppress(OSError):
                    remove_held(folder, held_alone(folder, _LOCK))
                    log.warning("removed %s, which a killed run had left unfinished", folder)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether it is this user's: in a folder for all, others have theirs."""
    return not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()


def sweep(path: Path) -> None:
    """Remove what killed runs left unfinished beside `path`, and say so. What cannot be told is named only."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.[0-9a-f]{{8}}\.part{re.escape(path.suffix)}")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False) and _is_ours(entry):
                _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    try:
        if fcntl is None:
            path.unlink()
        else:
            file = os.open(path, _OPEN)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    return
                path.unlink()
            finally:
                os.close(file)
    except (BlockingIOError, FileNotFoundError):
        return  # another run writes it, or has just finished
    except OSError as error:
        reason = error.strerror or error
        log.warning("%s looks like the leftover of a killed run (%s): remove it if nothing writes it", path, reason)
        return
    log.warning("removed %s, which a killed run had left unfinished", path)

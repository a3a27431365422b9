"""Folders that are locked while a run writes into them, and removed by a later run where none does.

A run that ends cleans up after itself, but one that is killed cannot. Its lock dies with it, so whoever writes at the
same place next can tell what it left from the work of a run that goes on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger("deflicker")

_TRIES = 5
_NAME_BYTES = 255
"""Of a file's name, as all usual file systems have it."""
_LOCK = ".lock"
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
"""What a file system without locks answers."""


def fitting(name: str, more: int) -> str:
    """The name, or where file systems have no room for it and `more` bytes, its beginning with a hash of the rest."""
    encoded, room = os.fsencode(name), _NAME_BYTES - more
    if len(encoded) <= room:
        return name
    mark = "~" + hashlib.sha256(encoded).hexdigest()[:8]
    return encoded[: room - len(mark)].decode("utf-8", "ignore") + mark


def lock_folder(folder: Path, name: str = _LOCK, lock_type: type[FileLock] = FileLock) -> FileLock:
    """Make a folder, where there is none, and lock it until the lock is released or the process ends.

    name: of the file in it that is locked. On a file system without locks, the lock returned does not hold. Raises
    BlockingIOError where another run holds it, OSError where it cannot be made.
    """
    path = folder / name
    for _ in range(_TRIES):
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise OSError(f"{folder} is a link")
        lock = lock_type(path, thread_local=False)  # one thread may take it and another let go
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if path.exists():
                raise BlockingIOError(f"{folder} is in use") from None
            continue  # the run that held it has just removed it
        except FileNotFoundError:
            continue
        except NotImplementedError:  # how filelock's older versions say ENOSYS
            return lock
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return lock
            raise
        if path.exists():
            return lock
        lock.release()
    raise OSError(f"{folder} is being removed by another run")


def remove_locked(folder: Path, lock: FileLock) -> None:
    """Remove a folder that `lock_folder` locked, and let go of it."""
    if sys.platform == "win32":  # an open file cannot be removed
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()


class TemporaryFolder:
    """A folder with a name of its own, locked until it is closed or the process ends. Raises OSError.

    What killed runs left of the same kind in the same place is removed first.
    """

    def __init__(self, parent: Path, prefix: str, suffix: str = "", lock_type: type[FileLock] = FileLock) -> None:
        remove_stale(parent, prefix, suffix, lock_type)
        for _ in range(_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
            try:
                self._lock = lock_folder(self.path, _LOCK, lock_type)
                return
            except BlockingIOError:  # another run was quick to take it for a stale one
                continue
            except BaseException:  # an interruption, too, leaves nothing behind
                shutil.rmtree(self.path, ignore_errors=True)
                raise
        raise OSError(f"folders in {parent} are being removed by another run")

    @classmethod
    def beside(cls, target: Path) -> TemporaryFolder:
        """One in which the file `target` is written before it is moved to its place."""
        return cls(target.parent, f".{fitting(target.name, len('..xxxxxxxx.part'))}.", ".part")

    def close(self) -> None:
        """Remove it with all that is in it; can be called again."""
        remove_locked(self.path, self._lock)


def remove_stale(parent: Path, prefix: str, suffix: str = "", lock_type: type[FileLock] = FileLock) -> None:
    """Remove what killed runs left of `TemporaryFolder` in a place, and say so. What cannot be told is only named."""
    pattern = re.compile(rf"{re.escape(prefix)}[a-z0-9_]{{8}}{re.escape(suffix)}")
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            # One without a lock is not of this kind, or has just been made.
            if not pattern.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False) or not _is_ours(entry):
                continue
            folder = Path(entry.path)
            if (folder / _LOCK).is_file():
                _remove_unless_in_use(folder, lock_type)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether it is this user's: in a folder for all, others have theirs."""
    return not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()


def _remove_unless_in_use(folder: Path, lock_type: type[FileLock]) -> None:
    try:
        lock = lock_folder(folder, _LOCK, lock_type)
    except OSError:
        return  # another run writes there, or has just finished
    if not lock.is_locked:
        log.warning("%s may be what a killed run left (no locks here): remove it if nothing writes there", folder)
        return
    remove_locked(folder, lock)
    log.warning("removed %s, which a killed run had left unfinished", folder)

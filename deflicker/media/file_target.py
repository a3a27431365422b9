"""The output file: complete or not there at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

from deflicker.core.errors import OutputError
from deflicker.core.files import TemporaryFolder
from deflicker.media.file_access import address


class FileTarget:
    """A file that is written beside its final place and moved there when complete.

    Raises OutputError where `path` exists and `overwrite` is off, is the `source` itself, or cannot be written.
    Leftovers of killed runs are removed; files that other processes are writing are not touched. A `dry_run` is
    checked in the same way, but writes to memory and leaves no file.
    """

    def __init__(self, path: str | Path, *, source: Path, overwrite: bool, dry_run: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        self.dry_run = dry_run
        self.notes: tuple[str, ...] = ()
        self._check(source)
        self._folder: TemporaryFolder | None = None

    @property
    def sink(self) -> str | io.BytesIO:
        """What to open for writing."""
        if self.dry_run:
            return io.BytesIO()
        try:
            self._folder = self._folder or TemporaryFolder.beside(self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error
        return address(self.written)

    @property
    def written(self) -> Path:
        """The file while it is written."""
        assert self._folder is not None
        return self._folder.path / self.path.name

    def _check(self, source: Path) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise OutputError(f"there is no folder {folder}: create it first")
        if self.path.is_dir():
            raise OutputError(f"{self.path} is a folder: give the name of a file")
        if self.path.exists() and source.exists() and os.path.samefile(self.path, source):
            raise OutputError(f"{self.path} is the input itself: choose another name for the output")
        if self.path.exists() and not self.path.is_file():
            raise OutputError(f"{self.path} is not a regular file: choose another name for the output")
        if self.path.exists() and not self._overwrite:
            raise OutputError(self._exists_already)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {folder} cannot be written to: choose another, or change its permissions")

    @property
    def _exists_already(self) -> str:
        return f"{self.path} already exists: choose another name, or allow overwriting"

    def confirm(self) -> None:
        """Does nothing: a file is moved when it is complete."""

    def stop(self) -> None:
        """Does nothing: the unfinished file is deleted."""

    def commit(self) -> None:
        """Move the finished file to its place. Raises OutputError where another one appeared there meanwhile."""
        if self._folder is None:
            return
        try:
            with self.written.open("rb+") as file:
                os.fsync(file.fileno())
            if self._overwrite:
                os.replace(self.written, self.path)
            else:
                self._move_without_replacing()
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error
        finally:
            self.discard()

    def _move_without_replacing(self) -> None:
        try:
            os.link(self.written, self.path)  # fails where the name is taken, unlike a rename
        except FileExistsError:
            raise OutputError(self._exists_already) from None
        except OSError:  # a file system without hard links
            if self.path.exists():
                raise OutputError(self._exists_already) from None
            os.rename(self.written, self.path)

    def discard(self) -> None:
        """Remove what is unfinished."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

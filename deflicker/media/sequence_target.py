"""Numbered images as an output: either all of them are written, or none."""

from __future__ import annotations

import io
import os
from pathlib import Path

from deflicker.core.errors import OutputError
from deflicker.core.files import TemporaryFolder
from deflicker.media.file_access import pattern_address
from deflicker.media.image_pattern import ImageSequence, image_sequence
from deflicker.media.probe import VideoInfo

IMAGE_ENCODERS = {
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
    ".dpx": "dpx",
    ".webp": "libwebp",
}
"""FFmpeg's encoder for each kind of image."""


def numbers_from(info: VideoInfo) -> int:
    """The number of the first image: the source's own, else 1."""
    images = image_sequence(info.path)
    return images.span()[0] if images else 1


class SequenceTarget:
    """Images that are written into a hidden folder beside their final places and moved there when complete.

    Raises OutputError where there are such images and `overwrite` is off, or they are the `source` themselves.
    """

    def __init__(self, images: ImageSequence, *, source: Path, overwrite: bool, dry_run: bool = False) -> None:
        self.path = images.pattern
        self.notes: tuple[str, ...] = ()
        self._images, self._overwrite, self._dry_run = images, overwrite, dry_run
        folder = self.path.parent
        if not folder.is_dir():
            raise OutputError(f"there is no folder {folder}: create it first")
        if source.absolute() == self.path.absolute():
            raise OutputError(f"{self.path} are the input itself: choose another name for the output")
        self._check()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {folder} cannot be written to: choose another, or change its permissions")
        self._unfinished: TemporaryFolder | None = None

    def _check(self) -> None:
        there = self._images.numbers()
        if there and not self._overwrite:
            raise OutputError(
                f"{self._images.file(there[0])} already exists: choose another name, or allow overwriting"
            )

    @property
    def sink(self) -> str | io.BytesIO:
        """What to open for writing."""
        if self._dry_run:
            return io.BytesIO()
        if self._unfinished is None:
            self._unfinished = TemporaryFolder(self.path.parent, ".deflicker-", ".part")
        return pattern_address(self._unfinished.path / self.path.name)

    @property
    def written(self) -> Path:
        """The unfinished images, as a pattern."""
        assert self._unfinished is not None
        return self._unfinished.path / self.path.name

    def confirm(self) -> None:
        """Does nothing: images are moved when all are complete."""

    def stop(self) -> None:
        """Does nothing: the unfinished images are deleted."""

    def commit(self) -> None:
        """Move the images to their places. Raises OutputError where others appeared there meanwhile."""
        if self._unfinished is None:
            return
        folder = self._unfinished.path
        try:
            self._check()
            old = set(self._images.numbers())
            made = ImageSequence(folder / self.path.name, self._images.digits).numbers()
            for number in made:
                os.replace(folder / self._images.file(number).name, self._images.file(number))
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from error
        finally:
            self.discard()
        if stale := sorted(old - set(made)):
            example = self._images.file(stale[0]).name
            self.notes = (f"{len(stale)} more images of this name already existed and were left, such as {example}",)

    def discard(self) -> None:
        """Remove the unfinished images."""
        if self._unfinished is not None:
            self._unfinished.close()
            self._unfinished = None

"""Whether a run can keep its progress, and the place where it does."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deflicker.core.errors import OutputError, SettingsError
from deflicker.core.settings import Settings
from deflicker.media.destination import Destination
from deflicker.media.source import Source
from deflicker.pipeline.checkpoint.runner import Checkpointer
from deflicker.pipeline.store.folder import Store, folder_of

log = logging.getLogger("deflicker")


def check_resume(source: Source, target: Destination, settings: Settings, *, measure: bool) -> None:
    """Raises SettingsError where a run is to keep its progress and cannot."""
    if not settings.resume:
        return
    if not isinstance(source, str | os.PathLike) or Path(source).is_fifo():
        raise SettingsError("resume needs a file to read: a pipe cannot be read again; store it first")
    if not isinstance(target, str | os.PathLike):
        raise SettingsError("resume needs an output file: a pipe cannot be resumed; write to a file")
    if measure:
        raise SettingsError(
            "resume and a report exclude each other, because motion is not saved: "
            "measure afterwards with `deflicker measure IN OUT`"
        )


@contextmanager
def open_checkpoint(target: Destination, settings: Settings, every_s: float) -> Iterator[Checkpointer | None]:
    """Progress towards an output, if it is to be kept.

    If not, what an interrupted run has kept is named, and removed once the output is there. Raises OutputError.
    """
    if not isinstance(target, str | os.PathLike):
        yield None
        return
    path = Path(target)
    if settings.resume and settings.strength > 0:
        with Checkpointer(path, every_s) as checkpointer:
            yield checkpointer
        return
    there = folder_of(path).is_dir()
    if there:
        log.warning("%s has the progress of an interrupted run: resume continues it", folder_of(path))
    yield None
    if there:
        _forget(path)


def _forget(target: Path) -> None:
    """Remove progress towards an output that is there by now, unless another run is at it."""
    try:
        Store(target).close(remove=True)
    except OutputError:
        return

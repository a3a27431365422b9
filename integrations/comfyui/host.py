"""What the nodes ask of ComfyUI. Where it is not there, as in tests, nothing is shown and nothing is interrupted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


def check_interrupted() -> None:
    """Raise ComfyUI's own exception where the user pressed Cancel."""
    try:
        from comfy import model_management
    except ImportError:
        return
    model_management.throw_exception_if_processing_interrupted()


def progress(total: int) -> Callable[[int], None]:
    """A function to call with the number of steps that are done."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda done: None
    bar = ProgressBar(total)
    return lambda done: bar.update_absolute(done, total)


def watched(frames: Iterable[Any], total: int) -> Iterator[Any]:
    """Frames, each with its step of progress and a look at the Cancel button."""
    show = progress(total)
    for done, frame in enumerate(frames, 1):
        check_interrupted()
        show(done)
        yield frame


def output_folder() -> Path:
    """ComfyUI's folder for results, else a temporary one. A fresh installation has none yet."""
    try:
        import folder_paths
    except ImportError:
        return Path(tempfile.gettempdir())
    folder = Path(folder_paths.get_output_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder

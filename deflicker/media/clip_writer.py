"""A small H.264 video without sound and tags, such as the before/after comparison."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from deflicker.core.errors import OutputError
from deflicker.media.file_target import FileTarget
from deflicker.media.frame import PlaneLayout
from deflicker.media.planes import convert

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_ENCODER, _OPTIONS = "libx264", {"crf": "18", "preset": "veryfast"}
_RGB = PlaneLayout("rgb", 8, True, "bt709", (0, 0), False)
_YUV = PlaneLayout("yuv", 8, False, "bt709", (1, 1), False)
_BT709, _LIMITED = 1, 1


class ClipWriter:
    """Write pictures `[H, W, 3]` uint8 R'G'B' of one size; the file is complete or not there at all.

    Raises OutputError where it cannot be written. `source`: a file it must not replace.
    """

    def __init__(self, path: Path, *, source: Path, time_base: Fraction, rate: Fraction, overwrite: bool) -> None:
        if path.suffix.lower() not in _FORMATS:
            raise OutputError(f"{path}: the name of a comparison ends in one of {', '.join(_FORMATS)}")
        self._target = FileTarget(path, source=source, overwrite=overwrite)
        self._path, self._time_base, self._rate = path, time_base, rate
        self._container: Any = None
        self._stream: Any = None
        self._last_pts: int | None = None

    def write(self, picture: Any, pts: int) -> None:
        """Encode one picture, shown at `pts` ticks of the time base. Sides must be even."""
        try:
            if self._container is None:
                self._open(picture.shape[1], picture.shape[0])
            red, green, blue = (np.ascontiguousarray(picture[..., k]) for k in range(3))
            frame: Any = convert((green, blue, red), _RGB, "yuv420p", to=_YUV)
            frame.pts = pts if self._last_pts is None else max(pts, self._last_pts + 1)
            frame.time_base, self._last_pts = self._time_base, frame.pts
            frame.colorspace, frame.color_range = _BT709, _LIMITED
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._error(error) from error

    def _open(self, width: int, height: int) -> None:
        form = _FORMATS[self._path.suffix.lower()]
        self._container = av.open(self._target.sink, "w", format=form)
        self._stream = self._container.add_stream(_ENCODER, rate=self._rate, options=_OPTIONS)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = self._time_base
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED

    def _error(self, error: Exception) -> OutputError:
        return OutputError(f"{self._path} could not be written: {getattr(error, 'strerror', None) or error}")

    def close(self) -> None:
        """Finish the file and move it to its place."""
        try:
            if self._container is None:
                raise OutputError(f"{self._path} was not written: there was no picture")
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._target.commit()
        except (av.FFmpegError, OSError) as error:
            self.discard()
            raise self._error(error) from error

    def discard(self) -> None:
        """Abort and remove the unfinished file."""
        if self._container is not None:
            self._container.close()
        self._target.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

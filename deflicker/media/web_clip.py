"""A short silent clip for a web page, as bytes in memory: WebM with VP8, which every browser plays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av

from deflicker.media.frame import PlaneLayout
from deflicker.media.planes import convert

_RGB = PlaneLayout("rgb", 8, True, "bt709", (0, 0), False)
_YUV = PlaneLayout("yuv", 8, False, "bt601", (1, 1), False)
_OPTIONS = {"deadline": "realtime", "cpu-used": "8", "crf": "14", "b": "4M"}


def encode_web_clip(pictures: Sequence[Any], rate: Fraction) -> bytes:
    """Encode pictures `[H, W, 3]` uint8 R'G'B' of one size, even sides, at `rate` frames a second.

    Raises ValueError without a picture, av.FFmpegError if this FFmpeg has no VP8.
    """
    if not pictures:
        raise ValueError("a clip needs at least one picture")
    file = io.BytesIO()
    height, width, _ = pictures[0].shape
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=rate, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            red, green, blue = (picture[..., k].copy() for k in range(3))
            container.mux(stream.encode(convert((green, blue, red), _RGB, "yuv420p", to=_YUV)))
        container.mux(stream.encode(None))
    return file.getvalue()

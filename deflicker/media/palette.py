"""True colour to 256 colours per picture, for GIF."""

from __future__ import annotations

from fractions import Fraction

import av


class Palette:
    """FFmpeg's palettegen and paletteuse, one palette per picture. Frames are `bgra` of one size."""

    def __init__(self, width: int, height: int) -> None:
        graph = av.filter.Graph()
        source = graph.add("buffer", args=f"video_size={width}x{height}:pix_fmt=bgra:time_base=1/1:pixel_aspect=1/1")
        split = graph.add("split")
        generate = graph.add("palettegen", "stats_mode=single")
        # Ordered dither stands still from picture to picture; error diffusion would boil, which is flicker.
        use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=5")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(generate, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph
        self._count = 0

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame as `pal8`, without a time."""
        frame.pts, frame.time_base = self._count, Fraction(1)
        self._count += 1
        self._graph.push(frame)
        made = self._graph.pull()
        assert isinstance(made, av.VideoFrame)
        return made

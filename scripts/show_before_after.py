"""Make the README's moving picture: a video before and after, side by side, as an animated WebP.

    deflicker samples/bunny.mp4 bunny_after.mp4
    python scripts/show_before_after.py samples/bunny.mp4 bunny_after.mp4 docs/images/before_after.webp

The clip must have a licence that allows it; that of the sample is in docs/licences.md.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import av
from PIL import Image, ImageDraw

GAP_PX, TITLE_PX = 8, 26
BACKGROUND, INK = "white", "#333"


def scaled_frames(path: Path, frames: int, width: int) -> tuple[list[Image.Image], float]:
    """The first frames of a video at this width, and its frame rate."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        height = round(stream.height * width / stream.width)
        images = [frame.to_image() for frame in islice(container.decode(stream), frames)]
        small = [image.resize((width, height), Image.Resampling.LANCZOS) for image in images]
        return small, float(stream.average_rate or 25)


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """Two pictures of one size next to each other, each under its title."""
    width, height = before.size
    sheet = Image.new("RGB", (2 * width + GAP_PX, height + TITLE_PX), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for left, title, picture in ((0, "before", before), (width + GAP_PX, "after", after)):
        draw.text((left + 4, 3), title, fill=INK, font_size=17)
        sheet.paste(picture, (left, TITLE_PX))
    return sheet


def write_animation(before: Path, after: Path, target: Path, options: argparse.Namespace) -> None:
    """Write the two videos, side by side, as an animation without end."""
    pictures = []
    for path in (before, after):
        images, rate = scaled_frames(path, options.frames, options.width)
        pictures.append(images)
    sheets = [side_by_side(*pair) for pair in zip(*pictures, strict=True)]
    target.parent.mkdir(parents=True, exist_ok=True)
    sheets[0].save(
        target, save_all=True, append_images=sheets[1:], duration=round(1000 / rate), loop=0,
        quality=options.quality, method=6,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--width", type=int, default=400, help="of each of the two pictures, in pixels")
    parser.add_argument("--quality", type=int, default=60)
    arguments = parser.parse_args()
    write_animation(arguments.before, arguments.after, arguments.target, arguments)

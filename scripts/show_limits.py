"""Make docs/images/limits.webp: what is left of known flicker in the frame where most is left.

    python scripts/show_limits.py docs/images/limits.webp

The clean clips are the project's own samples, the flicker is the benchmark's; rows and columns are labelled.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from bench import clips, flicker
from PIL import Image, ImageDraw
from torch import Tensor

CASES = (("bunny_clean.mp4", "local"), ("bunny_clean.mp4", "boil"), ("synthetic_clean.mp4", "mixed"))
FRAMES, WIDTH, SEED, GAIN = 32, 480, 7, 8
LABEL_PX = 16


def corrected(frames: Tensor) -> Tensor:
    """What the command makes of frames `[T, 3, H, W]` in [0, 1]."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.mkv", Path(folder) / "out.mkv"
        clips.write(source, frames)
        words = ["-m", "deflicker", str(source), str(target), "-q", "--codec", "ffv1"]
        subprocess.run([sys.executable, *words], check=True)
        return clips.read(target)


def labelled(picture: Tensor, text: str) -> Image.Image:
    """A picture `[3, H, W]` under a line of text."""
    pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    height, width, _ = pixels.shape
    image = Image.new("RGB", (width, height + LABEL_PX), "white")
    image.paste(Image.fromarray(pixels), (0, LABEL_PX))
    ImageDraw.Draw(image).text((3, 2), text, "black")
    return image


def row(sample: str, kind: str) -> list[Image.Image]:
    """Flickering, corrected, clean, and the error enlarged, of the worst frame."""
    clean = clips.load(clips.SAMPLES / sample, FRAMES, WIDTH).frames
    given, truth = flicker.add(kind, clean, SEED)
    given = clips.to_8_bits(given)
    found = corrected(given)
    squared = (found - truth).square().flatten(1).mean(1)
    worst = int(squared.argmax())
    before, after = (
        -10 * float(each[worst].log10()) for each in ((given - truth).square().flatten(1).mean(1), squared)
    )
    left = (found - truth)[worst]
    texts = (
        f"{kind}: flickering, {before:.1f} dB",
        f"corrected, {after:.1f} dB (frame {worst}, the worst of {FRAMES})",
        "clean",
        f"corrected - clean, x {GAIN}",
    )
    pictures = (given[worst], found[worst], truth[worst], 0.5 + GAIN * left)
    return [labelled(picture, text) for picture, text in zip(pictures, texts, strict=True)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("target", type=Path)
    target = options.parse_args().target
    torch.set_grad_enabled(False)
    rows = [row(*case) for case in CASES]
    widths = [max(cells[column].width for cells in rows) for column in range(4)]
    sheet = Image.new("RGB", (sum(widths), sum(cells[0].height for cells in rows)), "white")
    top = 0
    for cells in rows:
        for column, cell in enumerate(cells):
            sheet.paste(cell, (sum(widths[:column]), top))
        top += cells[0].height
    sheet.thumbnail((1600, 1600))
    sheet.save(target, quality=65)


if __name__ == "__main__":
    main()

"""Draw the figures of docs/method.md: python scripts/draw_figures.py docs/images

SVG on a light ground, so that they read in a light and in a dark page.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

GROUND, INK, SOFT, BEFORE, AFTER = "#f7f8fa", "#24292f", "#6b7280", "#c8402f", "#2563a8"
FONT = "font-family='system-ui, sans-serif'"


def page(width: int, height: int, *parts: str) -> str:
    ground = f"<rect width='{width}' height='{height}' rx='8' fill='{GROUND}'/>"
    return f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>{ground}{''.join(parts)}</svg>\n"


def label(x: float, y: float, text: str, colour: str = INK, size: int = 13, anchor: str = "middle") -> str:
    return f"<text x='{x}' y='{y}' {FONT} font-size='{size}' fill='{colour}' text-anchor='{anchor}'>{text}</text>"


def arrow(x: float, y: float, length: float) -> str:
    head = f"<path d='M{x + length} {y} l-6 -4 v8 z' fill='{SOFT}'/>"
    return f"<path d='M{x} {y} h{length - 5}' stroke='{SOFT}' stroke-width='1.5'/>{head}"


def pipeline() -> str:
    """The way of a frame from file to file."""
    steps = [
        ("decode", "full size and depth"), ("small copy", "192 to 320 px"), ("track", "cuts, flashes, flow"),
        ("tone", "seams, curve, gains"), ("texture", "detail that boils"), ("apply", "add the change"),
        ("encode", "or copy packets"),
    ]  # fmt: skip
    box, gap, top, parts = 108, 20, 34, []
    for index, (name, what) in enumerate(steps):
        x = 12 + index * (box + gap)
        parts.append(f"<rect x='{x}' y='{top}' width='{box}' height='54' rx='6' fill='white' stroke='{SOFT}'/>")
        parts += [label(x + box / 2, top + 23, name, size=15), label(x + box / 2, top + 42, what, SOFT, 11)]
        if index:
            parts.append(arrow(x - gap, top + 27, gap))
    width = 12 * 2 + len(steps) * box + (len(steps) - 1) * gap
    left, right = 12 + box / 2, width - 12 - box / 2
    for y, start, end, text in (
        (
            114,
            left,
            right - 2 * (box + gap) + box + gap,
            "decoded samples, changed only where the correction is not zero",
        ),
        (146, left, right, "sound, subtitles, chapters, tags: copied"),
    ):
        route, dashes = f"M{start} {top + 54} V{y} H{end} V{top + 60}", "stroke-dasharray='4 3'"
        parts.append(f"<path d='{route}' fill='none' stroke='{SOFT}' {dashes}/>")
        parts.append(f"<path d='M{end} {top + 55} l-4 7 h8 z' fill='{SOFT}'/>")
        parts.append(label((start + end) / 2, y - 6, text, SOFT, 11))
    return page(width, 160, *parts)


def kinds() -> str:
    """Light at one point over time, before and after, for four kinds of change."""
    chance = random.Random(4)
    frames = range(40)
    flicker = [0.5 + 0.5 * (chance.random() - 0.5) for _ in frames]
    fade = [0.15 + 0.7 / (1 + math.exp((20 - n) / 4)) for n in frames]
    seam = [0.35 + 0.3 * (n >= 20) + 0.02 * math.sin(n) for n in frames]
    flash = [0.3 + 0.6 * (n in (20, 21)) + 0.02 * math.sin(n) for n in frames]
    panels = (
        ("flicker: removed", flicker, [0.5] * 40),
        ("seam: removed", seam, [0.35 + 0.02 * math.sin(n) for n in frames]),
        ("fade: stays", fade, fade),
        ("flash: stays", flash, flash),
    )
    width, height, parts = 212, 110, []
    for index, (title, before, after) in enumerate(panels):
        x = 12 + index * (width + 14)
        parts.append(f"<rect x='{x}' y='30' width='{width}' height='{height}' fill='white' stroke='#d0d4da'/>")
        parts.append(label(x + width / 2, 21, title, size=14))
        for values, colour, stroke in ((before, BEFORE, 3.5 if before is after else 1.6), (after, AFTER, 1.8)):
            points = " ".join(
                f"{x + 6 + n * (width - 12) / 39:.1f},{30 + height - 8 - value * (height - 16):.1f}"
                for n, value in enumerate(values)
            )
            parts.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='{stroke}'/>")
    total = 24 + 4 * width + 3 * 14
    parts += [label(16, 160, "before", BEFORE, 12, "start"), label(66, 160, "after", AFTER, 12, "start")]
    parts.append(label(total - 14, 160, "light of one point, followed along its motion, over time", SOFT, 12, "end"))
    return page(total, 170, *parts)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, draw in (("pipeline", pipeline), ("kinds", kinds)):
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")

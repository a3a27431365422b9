"""What flickers in a video, when and how strongly, in plain words: `deflicker explain`. Pure text."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from deflicker.report.model import Measurement
from deflicker.report.results import Course, Measures
from deflicker.report.verdict import STEADY

BLOCKS = "▁▂▃▄▅▆▇█"
PLOT_COLUMNS = 64
SHOWN_SEAMS = 8

LOCAL_LEVELS, BOIL = 2.5, 0.4
"""From where regions, and redrawn texture, are named. Camera footage stays below, except for water and fire."""
STRONG_BOIL = 0.6
"""From where the preset `quality` is worth its time. Of the clips in docs/metrics.md."""


@dataclass(frozen=True)
class Kind:
    """One kind of flicker that was found."""

    title: str
    detail: str
    corrected: bool = True
    """Whether a run without further options would act on it."""


@dataclass(frozen=True)
class Clock:
    """Turns numbers of measured frames into times of the video."""

    fps: float = 0.0
    """0 where it is not known: frames are numbered instead."""
    start_s: float = 0.0
    """Where in the video measuring began."""

    def show(self, frame: int) -> str:
        return f"{self.start_s + frame / self.fps:.2f} s" if self.fps else f"frame {frame}"


def explanation(found: Measurement, target: str, clock: Clock = Clock()) -> list[str]:
    """What kinds of flicker a video has, a plot of when, and the command to run. `target`: a name for its output."""
    measures = found.measures
    kinds = kinds_of_flicker(measures, clock)
    shots = f" in {len(measures.shots)} shots" if len(measures.shots) > 1 else ""
    lines = [f"{found.source}: {found.frames} frames{shots}", ""]
    lines += [f"* {kind.title}: {kind.detail}" for kind in kinds] or ["* No flicker that stands out."]
    lines += ["", *plot(measures.course, clock)]
    if any(kind.corrected for kind in kinds):
        lines += ["", "Run:", f"  {command(found.source, target, measures)}"]
        if boil_share(measures) >= BOIL:
            guided = f"{shell(found.source, target)} --guide SOURCE"
            if boil_share(measures) >= STRONG_BOIL:
                lines += ["It leaves the video as it is if that is fire, water or smoke, which can hardly be followed."]
            lines += ["If each frame was edited or restyled by itself, give the video it was made from:", f"  {guided}"]
    else:
        lines += [
            "",
            "There is nothing to correct: a run would copy the video as it is,",
            "unless its sharpness pulses, which only a run looks for.",
        ]
        lines += [
            "If something slowly changes and should not, try:",
            f"  {shell(found.source, target, '--anchor', '1')}",
        ]
    return [*lines, *(f"note: {note}" for note in found.notes)]


def kinds_of_flicker(measures: Measures, clock: Clock) -> list[Kind]:
    """The kinds of flicker that stand out, the strongest evidence first."""
    value = {metric.name: metric.before for metric in measures.metrics}
    kinds = []
    whole, local, boil = (value.get(name) or 0.0 for name in ("flicker_whole_y", "flicker_local_y", "boil"))
    if whole >= STEADY["flicker_whole_y"]:
        kinds.append(
            Kind(
                "Brightness of the whole picture",
                f"{strength(whole)}, {whole:.1f} levels of 255 (ordinary footage stays below 0.3)",
            )
        )
    tint = max(value.get("flicker_whole_cb") or 0.0, value.get("flicker_whole_cr") or 0.0)
    if tint >= STEADY["flicker_whole_cb"]:
        kinds.append(Kind("Tint of the whole picture", f"{tint:.1f} levels of 255 (ordinary footage stays below 0.1)"))
    if local >= LOCAL_LEVELS:
        only = "" if kinds else "; water, fire and fast motion look like this, too, and are left alone"
        kinds.append(Kind("Brightness of regions", f"{strength(local / 2)}, {local:.1f} levels of 255{only}"))
    if seams := measures.seams_before:
        frames = ", ".join(clock.show(frame) for frame in seams[:SHOWN_SEAMS]) + (
            ", …" if len(seams) > SHOWN_SEAMS else ""
        )
        period = value.get("seam_period")
        every = f", every {period:.0f} frames" if period else ""
        kinds.append(Kind("Seams, where the tone jumps and stays", f"{len(seams)}{every}: {frames}"))
    if boil >= BOIL:
        kinds.append(
            Kind(
                "Texture that changes from frame to frame",
                f"{100 * boil:.0f} % of the finest detail; moving water and fire look like this, too",
                corrected=bool(kinds),
            )
        )
    return kinds


def strength(levels: float) -> str:
    """How visible flicker of the whole picture is, in a word."""
    for limit, word in ((1.0, "weak"), (3.0, "clearly visible"), (8.0, "strong")):
        if levels < limit:
            return word
    return "very strong"


def command(source: str, target: str, measures: Measures) -> str:
    """The command for this video. Texture that is redrawn strongly asks for the preset `quality`."""
    return shell(source, target, *(("--preset", "quality") if boil_share(measures) >= STRONG_BOIL else ()))


def boil_share(measures: Measures) -> float:
    """How much of the finest texture is drawn anew, 0 to 1."""
    return {metric.name: metric.before for metric in measures.metrics}.get("boil") or 0.0


def shell(source: str, target: str, *options: str) -> str:
    """A command line that a shell takes as it is."""
    return shlex.join(["deflicker", source, target, *options])


def plot(course: Course, clock: Clock) -> list[str]:
    """Flicker of the whole picture over time, as one line of blocks; nothing if there is too little to draw."""
    points = [(n, value) for n, value in zip(course.frames, course.flicker_before, strict=True) if value is not None]
    if len(points) < 2:
        return []
    columns = min(PLOT_COLUMNS, len(points))
    bins = [points[len(points) * k // columns : len(points) * (k + 1) // columns] for k in range(columns)]
    heights = [max(value for _, value in each) for each in bins]
    top = max(*heights, 2 * STEADY["flicker_whole_y"])
    line = "".join(BLOCKS[min(len(BLOCKS) - 1, round(height / top * (len(BLOCKS) - 1)))] for height in heights)
    first, last = clock.show(points[0][0]), clock.show(points[-1][0])
    worst_frame, worst = max(points, key=lambda point: point[1])
    return [
        "Flicker of the whole picture over time:",
        f"  {line}",
        f"  {first}{last:>{max(len(line) - len(first), len(last) + 1)}}",
        f"  most at {clock.show(worst_frame)}: {worst:.1f} levels of 255",
    ]

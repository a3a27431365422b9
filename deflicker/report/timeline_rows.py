"""What the report's timeline shows: shots, seams, and what was left alone or treated specially, with the reasons."""

from __future__ import annotations

from itertools import pairwise

from deflicker.report.frame_notes import ShotTexture, SkippedRange
from deflicker.report.results import Document
from deflicker.report.svg import Row, Span


def timeline_rows(document: Document) -> list[Row]:
    """Shots, seams, and what was left alone or treated specially, with the reasons."""
    measures, frames = document["measures"], document["frames"]
    starts = [*measures["shots"], frames]
    shots = [
        Span(first, after - 1, f"shot {number}: frames {first} to {after - 1}")
        for number, (first, after) in enumerate(pairwise(starts), 1)
    ]
    seams = [
        Span(frame, frame, f"seam at frame {frame}: the tone jumps and stays") for frame in measures["seams_before"]
    ]
    skipped = [SkippedRange(**each) for each in document.get("skipped", ())]
    texture = [ShotTexture(**each) for each in document.get("texture", ())]
    return [
        Row("shots", "shot", shots),
        Row("seams", "seam", seams),
        Row("flashes", "flash", [_left_alone(each, "a flash of light") for each in skipped if each.why == "flash"]),
        Row("excluded", "excluded", [_left_alone(each, "excluded") for each in skipped if each.why == "excluded"]),
        Row("texture", "texture", [Span(each.first, _end(each.first, starts), str(each)) for each in texture]),
    ]


def _left_alone(each: SkippedRange, why: str) -> Span:
    return Span(each.first, each.last, f"frames {each}: left alone: {why}")


def _end(first: int, starts: list[int]) -> int:
    """Last frame of the shot that contains this one."""
    return next((start - 1 for start in starts if start > first), first)

"""What a run says in words: its summary, its plan, its failure. Pure text; nothing here prints."""

from __future__ import annotations

import shlex

from deflicker.report.frame_notes import skipped_lines, texture_lines
from deflicker.report.model import Fvd, Measurement, Plan, Report
from deflicker.report.results import Measures
from deflicker.report.terms import GUARDS, METRICS, show

_FLICKER = ("flicker_whole_y", "flicker_local_y")


def summary(report: Report) -> list[str]:
    """The last lines of a run."""
    shots = f" in {_count(report.shots, 'shot')}" if report.shots else ""
    speed = f"{report.frames_per_second:.1f} frames a second"
    lines = [
        f"frames:  {report.frames}{shots}, {report.elapsed_s:.1f} s ({speed})",
        f"device:  {report.device}: {report.device_reason}",
    ]
    lines += _flicker(report)
    if report.frames_changed:
        lines.append(f"changed: {report.frames_changed} of {report.frames} frames, encoded with {report.codec}")
    elif report.codec == "copy":
        lines.append("changed: nothing to correct: source packets copied")
        lines += [f"why:     deflicker explain {shlex.quote(report.source)}"] if _can_be_explained(report) else []
    else:
        lines.append(f"changed: nothing to correct; encoded with {report.codec}")
    lines += [f"skipped: {what}" for what in skipped_lines(report.skipped)]
    lines += [f"texture: {what}" for what in texture_lines(report.texture)]
    lines += [f"copied:  {what}" for what in [", ".join(report.copied)] if what]
    lines += [f"dropped: {what}" for what in report.dropped]
    lines += [f"damaged: {what}{f' ({count} times)' if count > 1 else ''}" for what, count in report.damage]
    if report.frames_diverged:
        lines += [f"uncorrected: {_count(report.frames_diverged, 'frame')}, for which no valid correction was found"]
    lines += [f"note:    {what}" for what in report.notes]
    if report.measures:
        lines += [f"verdict: {verdict(report.measures)}"]
    return [*lines, f"written: {report.target}"]


def _can_be_explained(report: Report) -> bool:
    """Whether the input can be read again, and a correction was asked for."""
    return report.source != "-" and report.device != "none"


def _flicker(report: Report) -> list[str]:
    """Flicker before and after: as measured for a report, else as the run itself found it."""
    found = {metric.name: metric for metric in report.measures.metrics} if report.measures else {}
    pairs = [(metric.before, metric.after) for name in _FLICKER if (metric := found.get(name))]
    if not pairs and report.flicker_before and report.flicker_after:
        before, after = report.flicker_before, report.flicker_after
        pairs = [(before.whole, after.whole), (before.local, after.local)]
    if not pairs or any(value is None for pair in pairs for value in pair):
        return []
    (whole, whole_after), (regions, regions_after) = pairs
    of_regions = f"regions {regions:.2f} -> {regions_after:.2f}"
    return [f"flicker: whole picture {whole:.2f} -> {whole_after:.2f}, {of_regions} (levels of 255)"]


def verdict(measures: Measures) -> str:
    """The verdict in one line."""
    return f"{measures.verdict.judgement}: {'; '.join(measures.verdict.reasons)}"


def coherence(found: Measurement) -> list[str]:
    """What `deflicker measure` says."""
    measures, pair = found.measures, found.other is not None
    lines = [f"{'':<40}{'before':>10}{'after':>10}" if pair else f"{'':<40}{'value':>10}"]
    for metric in measures.metrics:
        term = METRICS[metric.name]
        numbers = [metric.before, metric.after] if pair else [metric.before]
        shown = "".join(f"{show(term, number):>10}" for number in numbers)
        lines.append(f"{term.title:<40}{shown}  {metric.reason or term.unit}".rstrip())
    for guard in measures.guards:
        term, state = GUARDS[guard.name], "" if guard.holds else "BROKEN"
        lines.append(f"{term.title:<50}{show(term, guard.value):>10}  {guard.reason or state or term.unit}".rstrip())
    lines += [f"note: {note}" for note in (*found.notes, *measures.notes)]
    if not all(guard.holds for guard in measures.guards):
        lines += ["note: what the encoder lost counts, too; --report measures without it, a lower --crf keeps more"]
    return [*lines, verdict(measures)]


def distance(found: Fvd) -> list[str]:
    """What `deflicker fvd` says."""
    counts = f"{found.real_clips} and {found.generated_clips} clips of {found.clip_frames} frames"
    return [f"FVD {found.fvd:.2f} ({counts})", *(f"note: {note}" for note in found.notes)]


def outlook(plan: Plan) -> list[str]:
    """What --dry-run says."""
    shots = ", ".join(map(str, plan.shots[:12])) + (", ..." if len(plan.shots) > 12 else "")
    return [
        f"video:   {plan.video}",
        *(f"stream:  {stream}" for stream in plan.streams),
        f"frames:  {plan.frames} in {_count(len(plan.shots), 'shot')}, starting at frame {shots}",
        f"encoder: {plan.encoder}",
        f"device:  {plan.device}: {plan.device_reason}",
        f"needs:   about {plan.memory_bytes / 2**30:.1f} GiB and {plan.seconds:.0f} s",
        *(f"note:    {note}" for note in plan.notes),
        f"output:  {plan.target} (dry run: nothing was written)",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

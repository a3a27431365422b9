"""Renders a few seconds of a video before and after, as files that a browser plays, with their numbers."""

from __future__ import annotations

import shlex
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from deflicker.core.errors import Cancelled, DeflickerError, SettingsError
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.pipeline.run_context import Models
from deflicker.pipeline.video import deflicker
from deflicker.report.model import Report
from deflicker.report.svg import Line, Marks, plot
from deflicker.report.text import verdict

MAX_S = 30
"""Longest excerpt: it is rendered again and again, and nobody waits for more than this."""
_QUEUE_TIMEOUT_S = 300.0
"""How long an excerpt waits for a cancelled one, which ends with its next batch of frames."""
_CLOSE_TIMEOUT_S = 60.0
"""The same when the preview ends. A process that exits while torch is working in another thread aborts."""
_PLAYABLE = {"codec": "libx264", "pix_fmt": "yuv420p", "crf": 14.0, "encoder_preset": "veryfast"}
"""Encoding that every browser plays."""


class Run(Protocol):
    """`deflicker`, as far as excerpts need it."""

    def __call__(
        self, source: Path, target: Path, settings: Settings, *, measure: bool, lpips: bool, cancel: threading.Event
    ) -> Report: ...


@dataclass(frozen=True)
class Excerpt:
    """A rendered part of the video."""

    before: str
    """Name of a file in the renderer's folder."""
    after: str
    summary: str
    plot: str
    """An SVG."""
    command: str
    """The command line that corrects the whole video like this."""


class ExcerptRenderer:
    """Renders excerpts of one video into a folder that `close` removes.

    One at a time. Several threads may ask at once: only the latest request is served, earlier ones are cancelled.
    """

    def __init__(self, source: Path, settings: Settings, run: Run | None = None) -> None:
        """run: renders one file, in place of `deflicker` with networks that are loaded once."""
        self.source, self.settings = source, settings
        models = Models()
        self._run: Run = run or (lambda *paths, **options: deflicker(*paths, **options, models=models))
        self._folder = tempfile.TemporaryDirectory(prefix="deflicker-preview-", ignore_cleanup_errors=True)
        self._rendering, self._requesting = threading.Lock(), threading.Lock()
        self._cancel_latest = threading.Event()
        """Set once nobody waits for the latest request any more."""
        self._rendered: dict[tuple[object, ...], tuple[str, Report]] = {}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self._folder.name)

    def render(self, request: Mapping[str, str]) -> Excerpt:
        """Render an excerpt. request: `start`, `seconds` and `strength` as texts; `preset` and `anchor` if they differ.

        Raises DeflickerError; Cancelled if another excerpt was asked for meanwhile.
        """
        start, seconds = _seconds(request["start"], "start"), _seconds(request["seconds"], "length")
        if not 0 < seconds <= MAX_S:
            raise SettingsError(f"the length is {float(seconds):g} s: it can be up to {MAX_S}")
        chosen = replace(
            self.settings,
            strength=_part(request["strength"], "strength"),
            anchor=_part(request.get("anchor", str(self.settings.anchor)), "anchor"),
            preset=request.get("preset", self.settings.preset),  # type: ignore[arg-type]  # Settings checks it
        )
        settings = replace(
            chosen, start=TimePoint(seconds=start), end=TimePoint(seconds=start + seconds),
            **_PLAYABLE,  # type: ignore[arg-type]
        )  # fmt: skip
        with self._requesting:
            self._cancel_latest.set()
            cancel = self._cancel_latest = threading.Event()
        if not self._rendering.acquire(timeout=_QUEUE_TIMEOUT_S):
            raise DeflickerError("the previous excerpt does not finish: start the preview again")
        try:
            before, _ = self._file(replace(settings, strength=0), start, seconds, cancel)
            after, report = self._file(settings, start, seconds, cancel)
        finally:
            self._rendering.release()
        return Excerpt(
            before=before,
            after=after,
            summary=verdict(report.measures) if report.measures else "strength 0: nothing is changed",
            plot=_plot(report),
            command=self._command(chosen),
        )

    def _file(
        self, settings: Settings, start: Fraction, seconds: Fraction, cancel: threading.Event
    ) -> tuple[str, Report]:
        if cancel.is_set():
            raise Cancelled("another excerpt was requested meanwhile")
        how = (settings.strength, settings.preset, settings.anchor) if settings.strength > 0 else ()
        key = (start, seconds, *how)
        if key not in self._rendered:
            name = f"{len(self._rendered) + 1}.mp4"
            report = self._run(
                self.source, self.folder / name, settings, measure=settings.strength > 0, lpips=False, cancel=cancel
            )
            self._rendered[key] = name, report
        return self._rendered[key]

    def _command(self, settings: Settings) -> str:
        words = ["deflicker", str(self.source), f"{self.source.stem}_steady{self.source.suffix}"]
        words += ["--strength", f"{settings.strength:g}"] if settings.strength != 1 else []
        words += ["--preset", settings.preset] if settings.preset != Settings.preset else []
        words += ["--anchor", f"{settings.anchor:g}"] if settings.anchor else []
        return shlex.join(words)

    def close(self) -> None:
        """Cancel what is being rendered, and remove all files."""
        with self._requesting:
            self._cancel_latest.set()
        stopped = self._rendering.acquire(timeout=_CLOSE_TIMEOUT_S)  # else its thread ends with the process
        self._folder.cleanup()
        if stopped:
            self._rendering.release()


def _seconds(text: str, what: str) -> Fraction:
    point = TimePoint.parse(text)
    if point.seconds is None:
        raise SettingsError(f"{what} is {text!r}: give seconds")
    return point.seconds


def _part(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{what} is {text!r}: it must be between 0 and 1") from None


def _plot(report: Report) -> str:
    if report.measures is None:
        return ""
    course = report.measures.course
    lines = [Line("before", "before", course.flicker_before), Line("after", "after", course.flicker_after)]
    cuts = Marks("cut", "cut", [shot for shot in report.measures.shots if shot])
    return plot("Flicker of the whole picture, levels of 255", "frame", course.frames, lines, [cuts])

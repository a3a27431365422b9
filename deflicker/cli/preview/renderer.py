"""A few seconds of a video before and after, as files a browser plays, and what became of them."""

from __future__ import annotations

import shlex
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from deflicker.core.errors import Cancelled, DeflickerError, SettingsError
from deflicker.core.settings import Settings
from deflicker.core.values import TimePoint
from deflicker.pipeline.session import Deflicker
from deflicker.report.model import Report
from deflicker.report.svg import Line, Marks, plot
from deflicker.report.text import verdict

LONGEST_S = 30
"""An excerpt is looked at again and again; rendering more than this would take the fun out of it."""
_PATIENCE_S = 300.0
"""How long an excerpt waits for one that was given up: that ends with the next batch of frames."""
_LEAVE_S = 60.0
"""The same at the end of the preview. A process that ends while torch is at work in another thread aborts."""
_PLAYS = {"codec": "libx264", "pix_fmt": "yuv420p", "crf": 14.0, "encoder_preset": "veryfast"}
"""What every browser plays."""


@dataclass(frozen=True)
class Excerpt:
    """A rendered part, with names of files in the workshop's folder."""

    before: str
    after: str
    summary: str
    plot: str
    """An SVG."""
    command: str
    """The command line that makes the whole video so."""


class Workshop:
    """Renders excerpts of one video into a folder that `close` removes.

    One at a time. Threads may ask at once: the last to ask gets an excerpt, and whatever is still being rendered for
    others is given up.
    """

    def __init__(self, source: Path, settings: Settings, session: Deflicker | None = None) -> None:
        self.source = source
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="deflicker-preview-", ignore_cleanup_errors=True)
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._latest = threading.Event()
        """Set once nobody waits any longer for what was asked for last."""
        self._session = session or Deflicker(settings)
        self._made: dict[tuple[Fraction, Fraction, float], tuple[str, Report]] = {}

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return Path(self._folder.name)

    def render(self, wanted: Mapping[str, str]) -> Excerpt:
        """Make an excerpt. wanted: `start`, `seconds` and `strength` as texts.

        Raises DeflickerError; Cancelled where another excerpt was asked for meanwhile.
        """
        start, seconds = _seconds(wanted["start"], "start"), _seconds(wanted["seconds"], "length")
        if not 0 < seconds <= LONGEST_S:
            raise SettingsError(f"the length is {float(seconds):g} s: it can be up to {LONGEST_S}")
        try:
            strength = float(wanted["strength"])
        except ValueError:
            raise SettingsError(f"strength is {wanted['strength']!r}: it goes from 0 to 1") from None
        part = replace(
            self.settings, strength=strength, start=TimePoint(seconds=start), end=TimePoint(seconds=start + seconds),
            **_PLAYS,  # type: ignore[arg-type]
        )  # fmt: skip
        with self._asking:
            self._latest.set()
            mine = self._latest = threading.Event()
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise DeflickerError("the excerpt before this one does not come to an end: start the preview again")
        try:
            return self._render(part, start, seconds, mine)
        finally:
            self._lock.release()

    def _render(self, part: Settings, start: Fraction, seconds: Fraction, cancel: threading.Event) -> Excerpt:
        before, _ = self._make(replace(part, strength=0), start, seconds, cancel)
        after, report = self._make(part, start, seconds, cancel)
        return Excerpt(
            before=before,
            after=after,
            summary=verdict(report.measures) if report.measures else "strength 0: nothing is changed",
            plot=_plot(report),
            command=self._command(part.strength),
        )

    def _make(self, part: Settings, start: Fraction, seconds: Fraction, cancel: threading.Event) -> tuple[str, Report]:
        if cancel.is_set():
            raise Cancelled("another part was asked for meanwhile")
        key = start, seconds, part.strength
        if key not in self._made:
            name = f"{len(self._made) + 1}.mp4"
            self._session.settings = part
            report = self._session.file(
                self.source, self.folder / name, measure=part.strength > 0, lpips=False, cancel=cancel
            )
            self._made[key] = name, report
        return self._made[key]

    def _command(self, strength: float) -> str:
        words = ["deflicker", str(self.source), f"{self.source.stem}_steady{self.source.suffix}"]
        words += ["--strength", f"{strength:g}"] if strength != 1 else []
        words += ["--preset", self.settings.preset] if self.settings.preset != Settings.preset else []
        words += ["--anchor", f"{self.settings.anchor:g}"] if self.settings.anchor else []
        return shlex.join(words)

    def close(self) -> None:
        """Give up what is being rendered, and remove everything."""
        with self._asking:
            self._latest.set()
        stopped = self._lock.acquire(timeout=_LEAVE_S)  # else its thread ends with the process
        self._folder.cleanup()
        if stopped:
            self._lock.release()


def _seconds(text: str, what: str) -> Fraction:
    point = TimePoint.parse(text)
    if point.seconds is None:
        raise SettingsError(f"{what} is {text!r}: give seconds")
    return point.seconds


def _plot(report: Report) -> str:
    if report.measures is None:
        return ""
    course = report.measures.course
    lines = [Line("before", "before", course.flicker_before), Line("after", "after", course.flicker_after)]
    cuts = Marks("cut", "cut", [shot for shot in report.measures.shots if shot])
    return plot("Flicker of the whole picture, levels of 255", "frame", course.frames, lines, [cuts])

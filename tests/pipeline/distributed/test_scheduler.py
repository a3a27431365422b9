"""One film in many hands: the frames and the report of a run by one, whatever becomes of the hands on the way."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from deflicker import Cancelled, OutputError, Report, Settings, Span, TimePoint, deflicker
from deflicker.pipeline.distributed.scheduler import ShotScheduler
from deflicker.pipeline.distributed.segments import Segment, SegmentWork, store_segment
from deflicker.pipeline.run_context import Models
from deflicker.pipeline.store.folder import folder_of
from tests.assets import write_video
from tests.fakes import Still
from tests.pipeline.distributed.test_segments import make_film, shot

SETTINGS = Settings(preset="fast", device="cpu", crf=0)
"""Lossless: what x264 makes of equal frames was seen to differ from run to run."""
STILL = Models(flow=Still())


class Here:
    """Executor in this process. `fails`: the segment, by its first frame, at which it does."""

    size = 2

    def __init__(self, settings: Settings = SETTINGS, fails: int | None = None, models: Models | None = None) -> None:
        self._settings, self._fails, self._models = settings, fails, models or STILL
        self.begun: list[int] = []

    def store_segment(
        self, source: Path, segment: Segment, target: Path, *, motion: bool, stop: threading.Event
    ) -> None:
        self.begun.append(segment.shots.first)
        if segment.shots.first == self._fails:
            raise ZeroDivisionError
        store_segment(source, segment, self._settings, target, SegmentWork(self._models, motion, stop))


class EveryShot(ShotScheduler):
    """Makes a segment of every shot."""

    min_frames = 1


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "film.mp4", 9, 6, 10)


def pictures(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def by_many(
    film: Path, target: Path, hands: Here, settings: Settings = SETTINGS, *, how: Any = None, **extras: Any
) -> Report:
    with EveryShot(film, target, settings, hands, motion="measure" in extras, on_segment=how) as corrections:
        return corrections.signed(deflicker(film, target, settings, corrections=corrections, **extras))


def alike(report: Report) -> Report:
    return replace(report, elapsed_s=0, target="", device="", device_reason="")


@pytest.mark.usefixtures("raft")
def test_as_by_one_machine(film: Path, tmp_path: Path) -> None:
    """With anchors, an excluded part and a report, so that nearly everything passes through the files."""
    settings = replace(
        SETTINGS, anchor=0.5, exclude=(Span(TimePoint(frame=4), TimePoint(frame=6)),),
    )  # fmt: skip
    extras: dict[str, Any] = {"measure": True, "lpips": False}
    serial = deflicker(film, tmp_path / "serial.mkv", settings, **extras)
    found = by_many(film, tmp_path / "many.mkv", Here(settings, models=Models()), settings, **extras)
    assert serial.shots == 3
    assert serial.frames_changed > 12
    assert pictures(tmp_path / "many.mkv") == pictures(tmp_path / "serial.mkv")
    assert alike(found) == alike(serial)
    assert (found.device, found.device_reason) == ("workers", "2 at a time decided 3 pieces of it")
    assert sorted(os.listdir(tmp_path)) == ["film.mp4", "many.mkv", "serial.mkv"]


@pytest.mark.slow
def test_an_interrupted_run_goes_on(film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deflicker(film, tmp_path / "serial.mkv", SETTINGS, models=STILL)
    with pytest.raises(ZeroDivisionError):
        by_many(film, tmp_path / "many.mkv", Here(fails=15))
    assert "the same command continues from there" in caplog.messages[-1]
    assert not (tmp_path / "many.mkv").exists()
    told: list[tuple[str, int]] = []
    hands = Here()
    by_many(film, tmp_path / "many.mkv", hands, how=lambda how, segment: told.append((how, segment.shots.first)))
    assert hands.begun == [15]
    assert sorted(told) == [("done", 15), ("found", 0), ("found", 9)]
    assert pictures(tmp_path / "many.mkv") == pictures(tmp_path / "serial.mkv")
    assert sorted(os.listdir(tmp_path)) == ["film.mp4", "many.mkv", "serial.mkv"]


def test_what_other_settings_left_is_not_used(film: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        by_many(film, tmp_path / "many.mkv", Here(fails=15))
    settings = replace(SETTINGS, anchor=1.0)
    hands = Here(settings)
    by_many(film, tmp_path / "many.mkv", hands, settings)
    assert sorted(hands.begun) == [0, 9, 15]
    assert not folder_of(tmp_path / "many.mkv").exists()


def test_encoder_and_strength_do_not_matter_to_it(film: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        by_many(film, tmp_path / "many.mkv", Here(fails=15))
    settings = replace(SETTINGS, strength=0.5, crf=3)
    hands = Here(settings)
    by_many(film, tmp_path / "many.mkv", hands, settings)
    assert hands.begun == [15]


def test_two_runs_at_once(film: Path, tmp_path: Path) -> None:
    with EveryShot(film, tmp_path / "many.mkv", SETTINGS, Here()), pytest.raises(OutputError, match="another run"):
        by_many(film, tmp_path / "many.mkv", Here())


def test_stopped_while_it_waits(film: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    class Slow(Here):
        def store_segment(self, *given: Any, stop: threading.Event, **options: Any) -> None:
            asked.set()
            assert stop.wait(60)
            raise Cancelled("stopped")

    def cancel() -> None:
        assert asked.wait(60)
        stop.set()

    asked = threading.Event()
    threading.Thread(target=cancel).start()
    hands = Slow()
    with pytest.raises(Cancelled), EveryShot(film, tmp_path / "many.mkv", SETTINGS, hands) as corrections:
        deflicker(film, tmp_path / "many.mkv", SETTINGS, corrections=corrections, cancel=stop)
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_nothing_flickers(tmp_path: Path) -> None:
    """Then packets are copied, as in any run."""
    film = write_video(tmp_path / "film.mp4", shot(1, 0) * 9)
    settings = replace(SETTINGS, crf=None)
    assert by_many(film, tmp_path / "many.mp4", Here(settings), settings).codec == "copy"

"""The comparison video: both pictures, a divider that moves, where they differ, in time with the source."""

from pathlib import Path

import av
import numpy as np
import pytest

from deflicker import OutputError, Settings, deflicker
from deflicker.report.comparison_video import compose

BEFORE, AFTER = np.full((60, 80, 3), 100, np.uint8), np.full((60, 80, 3), 140, np.uint8)


def test_beside_each_other():
    found = compose(BEFORE, AFTER, "side", 0.0)
    assert found.shape == (90, 160, 3)
    assert (found[40:60, :80] == 100).all()
    assert (found[40:60, 80:] == 140).all()
    assert found[:20, :40].max() > 200, "a label"
    assert found[:20, 80:120].max() > 200, "another"


@pytest.mark.parametrize(("seconds", "place"), [(0.0, 40), (1.0, 76), (2.0, 40), (3.0, 4)])
def test_a_divider_that_moves(seconds, place):
    found = compose(BEFORE, AFTER, "split", seconds)
    assert found.shape == (90, 80, 3)
    line = found[50]
    assert (line[: place - 1] == 100).all()
    assert (line[place + 1 :] == 140).all()
    assert (line[place - 1 : place + 1] == 255).all()


def test_the_map_shows_where_they_differ():
    after = BEFORE.copy()
    after[:, :40] += 32
    row = compose(BEFORE, after, "side", 0.0)[60:]
    line = row[20, :40].astype(int).sum(1)
    assert line[:20].min() > 600, "bright where they differ"
    assert line[20:].max() < 20, "dark where they do not"


def test_equal_pictures_have_a_dark_map():
    assert compose(BEFORE, BEFORE, "side", 0.0)[60:, :40].max() <= 4


@pytest.mark.parametrize(("style", "width"), [("side", 192), ("split", 96)])
def test_a_run(style, width, clip: Path, tmp_path: Path, raft: None) -> None:
    settings = Settings(preset="fast", overwrite=True)
    report = deflicker(clip, tmp_path / "out.mp4", settings, compare=tmp_path / "c.mp4", compare_style=style)
    assert report.frames_changed
    with av.open(tmp_path / "c.mp4") as found, av.open(clip) as source:
        shown, original = list(found.decode(video=0)), list(source.decode(video=0))
    assert [round(frame.time, 4) for frame in shown] == [round(frame.time, 4) for frame in original]
    assert {(frame.width, frame.height) for frame in shown} == {(width, 96)}


def test_nothing_is_left_of_a_run_that_fails(clip: Path, tmp_path: Path, raft: None) -> None:
    def stop(step: object) -> None:
        if getattr(step, "stage", "") == "frames":
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        deflicker(clip, tmp_path / "o.mp4", Settings(preset="fast"), compare=tmp_path / "c.mp4", on_progress=stop)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("name", "message"), [("c.txt", "ends in one of"), ("in.mp4", "input itself")])
def test_what_cannot_be_written(name: str, message: str, clip: Path, tmp_path: Path, raft: None) -> None:
    with pytest.raises(OutputError, match=message):
        deflicker(clip, tmp_path / "o.mp4", Settings(preset="fast", overwrite=True), compare=tmp_path / name)
    assert not (tmp_path / "o.mp4").exists()

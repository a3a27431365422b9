"""Segments in their folder: whole and trusted, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from deflicker.core.errors import OutputError
from deflicker.pipeline.checkpoint.store import Folder, Segment, folder_of

ABOUT = {"the video": "a", "the preset": "b"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


def filled(out: Path, segments: int) -> Path:
    """A folder of so many segments of ten frames each."""
    folder = Folder(out)
    folder.begin(ABOUT)
    for number in range(1, segments + 1):
        for frame in range(10):
            folder.add(lambda file, frame=frame: file.write(bytes([frame]) * 100))  # type: ignore[misc]
        states = {stage: folder.state_to_be(stage, 7) for stage in ("motion", "tone")}
        for stage, file in states.items():
            file.write(stage.encode() * number)
        folder.finish(10 * number, 10 * number + 5, {3, 1}, states)
    folder.close(remove=False)
    return folder.path


def found(out: Path) -> tuple[Segment, list[str]]:
    folder = Folder(out)
    try:
        wrong = folder.find()
        return folder.segment, wrong
    finally:
        folder.close(remove=False)


def test_what_was_finished_is_found(out: Path) -> None:
    path = filled(out, 3)
    segment, wrong = found(out)
    assert wrong == []
    assert (segment.number, segment.frames, segment.taken, segment.held) == (3, 30, 35, (1, 3))
    frames = [f"{number}.frames" for number in (1, 2, 3)]
    states = [f"{number}.{ending}" for number in (2, 3) for ending in ("json", "motion", "tone")]
    assert sorted(each.name for each in path.iterdir()) == sorted([*frames, *states, "about.json", "lock"])
    folder = Folder(out)
    assert folder.about() == ABOUT
    folder.find()
    with folder.state("tone") as state, folder.frames(2) as decided:
        assert state.read() == b"tone" * 3
        assert len(decided.read()) == 1000
    folder.close(remove=True)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
@pytest.mark.parametrize(
    ("name", "number"),
    [("3.motion", 2), ("3.tone", 2), ("3.frames", 2), ("3.json", 2), ("2.json", 3), ("2.frames", 0), ("1.frames", 0)],
)
def test_damage_is_found(out: Path, name: str, number: int, damage: str) -> None:
    victim = filled(out, 3) / name
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(data if damage == "bit" else data[:-1])
    segment, wrong = found(out)
    assert segment.number == number
    assert bool(wrong) == (number < 3 and (name, damage) != ("3.json", "gone"))


def test_a_segment_that_passes_for_another_is_not_taken(out: Path) -> None:
    path = filled(out, 3)
    (path / "3.json").write_bytes((path / "2.json").read_bytes())
    segment, wrong = found(out)
    assert (segment.number, wrong) == (2, ["3.json is of another segment"])


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\n{}"])
def test_circumstances_that_cannot_be_read_are_none(out: Path, damage: bytes) -> None:
    (filled(out, 1) / "about.json").write_bytes(damage)
    folder = Folder(out)
    assert folder.about() is None
    folder.close(remove=False)


def test_what_is_unfinished_goes(out: Path) -> None:
    path = filled(out, 1)
    (path / "2.frames.part").write_bytes(b"half")
    assert found(out)[0].number == 1
    assert not list(path.glob("*.part"))
    folder = Folder(out)
    folder.find()
    folder.add(lambda file: file.write(b"x"))
    assert list(path.glob("*.part"))
    folder.close(remove=False)
    assert not list(path.glob("*.part"))


def test_beginning_again_leaves_nothing_of_before(out: Path) -> None:
    path = filled(out, 2)
    folder = Folder(out)
    folder.begin({"the video": "c"})
    assert sorted(each.name for each in path.iterdir()) == ["about.json", "lock"]
    assert folder.about() == {"the video": "c"}
    folder.close(remove=True)


def test_one_run_at_a_time(out: Path) -> None:
    first = Folder(out)
    with pytest.raises(OutputError, match="another run"):
        Folder(out)
    Folder(out.with_name("other.mp4")).close(remove=True)
    first.close(remove=False)
    Folder(out).close(remove=True)
    assert not folder_of(out).exists()


def test_no_folder_to_be_in(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Folder(tmp_path / "nowhere" / "out.mp4")

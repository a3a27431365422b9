"""Checkpoints in their folder: whole and trusted, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from deflicker.correction.types import FrameRecord
from deflicker.pipeline.checkpoint.chain import Checkpoint, CheckpointChain
from deflicker.pipeline.store.folder import Store, folder_of

CPU = torch.device("cpu")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


@contextmanager
def chain_of(out: Path) -> Iterator[CheckpointChain]:
    store = Store(out)
    chain = CheckpointChain(store)
    yield chain
    chain.give_up()
    store.close(remove=False)


def filled(out: Path, checkpoints: int) -> Path:
    """A folder of so many checkpoints, ten frames each."""
    with chain_of(out) as chain:
        for number in range(1, checkpoints + 1):
            for frame in range(10):
                chain.add(FrameRecord(proxy=torch.zeros(3, 0, 0), diverged=frame == number))
            states = {stage: chain.state_file(stage, 7) for stage in ("motion", "tone")}
            for stage, file in states.items():
                file.write(stage.encode() * number)
            chain.finish(10 * number, 10 * number + 5, {3, 1}, states)
    return folder_of(out)


def found(out: Path) -> tuple[Checkpoint, list[str]]:
    with chain_of(out) as chain:
        wrong = chain.find()
        return chain.last, wrong


def test_what_was_finished_is_found(out: Path) -> None:
    path = filled(out, 3)
    last, wrong = found(out)
    assert wrong == []
    assert (last.number, last.frames, last.frames_in, last.pictures) == (3, 30, 35, (1, 3))
    frames = [f"{number}.frames" for number in (1, 2, 3)]
    states = [f"{number}.{ending}" for number in (2, 3) for ending in ("json", "motion", "tone")]
    assert sorted(each.name for each in path.iterdir()) == sorted([*frames, *states, "lock"])
    with chain_of(out) as chain:
        chain.find()
        with chain.state("tone") as state:
            assert state.read() == b"tone" * 3
        assert [n for n, record in enumerate(chain.records(CPU)) if record.diverged] == [1, 12, 23]


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
    last, wrong = found(out)
    assert last.number == number
    assert bool(wrong) == (number < 3 and (name, damage) != ("3.json", "gone"))


def test_a_checkpoint_that_passes_for_another_is_not_taken(out: Path) -> None:
    path = filled(out, 3)
    (path / "3.json").write_bytes((path / "2.json").read_bytes())
    last, wrong = found(out)
    assert (last.number, len(wrong)) == (2, 1)
    assert "3.json" in wrong[0]


def test_what_is_unfinished_goes(out: Path) -> None:
    path = filled(out, 1)
    with chain_of(out) as chain:
        chain.find()
        chain.add(FrameRecord(proxy=torch.zeros(3, 0, 0)))
        assert list(path.glob("*.part"))
    assert not list(path.glob("*.part"))
    assert found(out)[0].number == 1

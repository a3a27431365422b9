"""Decisions and states that were stored are, number by number, the ones that were found."""

from __future__ import annotations

import io
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from deflicker.core.blocks import Damaged, Packer
from deflicker.correction.apply import Correction
from deflicker.correction.types import FrameRecord, SpaceDecision
from deflicker.metrics.flicker import FlickerSums
from deflicker.pipeline.store.block_files import PartFile, read_records, read_state, write_record, write_state

CPU = torch.device("cpu")


def numbers(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


SUMS = FlickerSums(*numbers(4).unbind())
PROXY = numbers(3, 8, 8)
GAIN = Correction(numbers(3, 4, 6))
FULL = Correction(numbers(3, 4, 6).transpose(1, 2), numbers(3, 8, 8), numbers(3, 9), numbers(1, 16, 16))
RECORDS = [
    FrameRecord(proxy=PROXY, starts_shot=True),
    FrameRecord(
        proxy=PROXY, correction=GAIN, flicker_before=SUMS, flicker_after=SUMS + SUMS, forward_px=numbers(2, 8, 8)
    ),
    FrameRecord(proxy=PROXY, correction=FULL, is_duplicate=True, diverged=True),
    FrameRecord(proxy=PROXY, starts_shot=True, skip="flash"),
    FrameRecord(proxy=PROXY, texture=SpaceDecision("both", 0.25, 3.5, "so")),
]


def flat(value: Any) -> Any:
    if isinstance(value, Correction | FlickerSums):
        return {each.name: flat(getattr(value, each.name)) for each in fields(value)}
    return (value.dtype, value.tolist()) if isinstance(value, Tensor) else value


def plain(record: FrameRecord, motion: bool) -> dict[str, Any]:
    left_out = {"picture", "proxy"} if motion else {"picture", "proxy", "forward_px", "backward_px"}
    return {each.name: flat(getattr(record, each.name)) for each in fields(record) if each.name not in left_out}


@pytest.mark.parametrize("motion", [False, True])
def test_decisions_come_back(motion: bool) -> None:
    file = io.BytesIO()
    for record in RECORDS:
        write_record(file, record, motion=motion)
    file.seek(0)
    found = list(read_records(file, CPU))
    assert [plain(record, motion) for record in found] == [plain(record, motion) for record in RECORDS]
    assert (found[1].forward_px is not None) == motion
    assert list(read_records(io.BytesIO(), CPU)) == []


def test_a_state_comes_back() -> None:
    file, state = io.BytesIO(), {"waiting": [[PROXY], [PROXY, PROXY]], "number": 3, "empty": [], "history": None}
    assert write_state(file, state) == set()
    file.seek(0)
    found = read_state(file, {}, CPU)
    assert list(found) == list(state)
    assert (found["number"], found["empty"], found["history"]) == (3, [], None)
    assert [len(row) for row in found["waiting"]] == [1, 2]
    assert torch.equal(found["waiting"][1][1], PROXY)


@pytest.mark.parametrize("length", [3, 30, -1])
def test_what_ends_early_is_damaged(length: int) -> None:
    file = io.BytesIO()
    write_state(file, {"waiting": [PROXY], "number": 3})
    with pytest.raises(Damaged):
        read_state(io.BytesIO(file.getvalue()[:length]), {}, CPU)
    write_record(other := io.BytesIO(), RECORDS[0])
    with pytest.raises(Damaged):
        list(read_records(io.BytesIO(other.getvalue()[:length]), CPU))


def test_what_is_of_something_else_is_damaged() -> None:
    file = io.BytesIO()
    block = Packer().pack([1])
    file.write(len(block).to_bytes(8, "little") + block)
    with pytest.raises(Damaged):
        list(read_records(io.BytesIO(file.getvalue()), CPU))
    with pytest.raises(Damaged):
        read_state(io.BytesIO(file.getvalue()), {}, CPU)


def test_nothing_half_done_stays(tmp_path: Any) -> None:
    whole, half = PartFile(tmp_path / "whole"), PartFile(tmp_path / "half")
    for file in (whole, half):
        file.write(b"something")
    whole.complete()
    whole.close()
    half.close()
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]

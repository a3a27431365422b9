"""Corrections that were stored are, number by number, the ones that were found."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deflicker import OutputError
from deflicker.correction.apply import Correction
from deflicker.correction.types import Choice, Corrected
from deflicker.metrics.flicker import FlickerSums
from deflicker.pipeline.distributed import correction_files as records

CPU = torch.device("cpu")


def numbers(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


SUMS = FlickerSums(*numbers(4).unbind())
FRAMES: list[Corrected[str]] = [
    Corrected("a", None, True, None, None),
    Corrected("b", Correction(numbers(3, 4, 6)), False, SUMS, SUMS + SUMS, forward_px=numbers(2, 8, 8)),
    Corrected(
        "c",
        Correction(numbers(3, 4, 6).transpose(1, 2), numbers(3, 8, 8), numbers(3, 9), numbers(1, 16, 16)),
        False, None, None, held=True, diverged=True,
    ),
    Corrected("d", None, True, None, None, kept="flash"),
    Corrected("e", None, False, None, None, texture=Choice("both", 0.25, 3.5, "so")),
]  # fmt: skip


def flat(value: Any) -> Any:
    if isinstance(value, Correction | FlickerSums):
        return {each.name: flat(getattr(value, each.name)) for each in fields(value)}
    return (value.dtype, value.tolist()) if isinstance(value, Tensor) else value


def plain(frame: Corrected[Any], motion: bool) -> dict[str, Any]:
    left_out = {"item"} if motion else {"item", "forward_px", "backward_px"}
    return {each.name: flat(getattr(frame, each.name)) for each in fields(frame) if each.name not in left_out}


@pytest.mark.parametrize("motion", [False, True])
def test_there_and_back(tmp_path: Path, motion: bool) -> None:
    records.write(tmp_path / "x", iter(FRAMES), motion=motion)
    found = list(records.read(tmp_path / "x", CPU))
    assert [plain(frame, motion) for frame in found] == [plain(frame, motion) for frame in FRAMES]
    assert (found[1].forward_px is not None) == motion
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_none(tmp_path: Path) -> None:
    records.write(tmp_path / "x", iter([]))
    assert list(records.read(tmp_path / "x", CPU)) == []


def test_nothing_half_done_stays(tmp_path: Path) -> None:
    def failing() -> Any:
        yield FRAMES[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        records.write(tmp_path / "x", failing())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be stored"):
        records.write(tmp_path / "nowhere" / "x", iter(FRAMES))

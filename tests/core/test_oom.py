"""Out of memory: each step is taken once, said, and loses nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
import torch

from deflicker.core.oom import OomFallback, is_out_of_memory, moved


def full(level: int, needed: int) -> int:
    if level < needed:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return level


def test_it_steps_down_until_there_is_room_and_stays_there(caplog: pytest.LogCaptureFixture) -> None:
    fallback = OomFallback("flow", ("small", "smaller"))
    with caplog.at_level(logging.WARNING, "deflicker"):
        assert fallback.run(lambda level: full(level, 2)) == 2
        assert fallback.run(lambda level: full(level, 0)) == 2
    assert caplog.messages == [
        "out of memory in flow: small from here on",
        "out of memory in flow: smaller from here on",
    ]


def test_below_the_last_rung_the_error_comes_up() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        OomFallback("flow", ("small",)).run(lambda level: full(level, 9))


def test_other_errors_are_not_its_business() -> None:
    tried = []

    def broken(level: int) -> None:
        tried.append(level)
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        OomFallback("flow", ("small",)).run(broken)
    assert tried == [0]


def test_what_each_device_calls_it() -> None:
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert not is_out_of_memory(RuntimeError("no memory of that"))


@dataclass(frozen=True)
class Holder:
    picture: torch.Tensor
    more: tuple[torch.Tensor, ...]
    count: int = 3


def test_everything_moves() -> None:
    held = Holder(torch.zeros(2), (torch.ones(1), torch.ones(2)))
    there = moved({"held": held, "list": [torch.zeros(1)], "none": None}, "meta")
    assert isinstance(there["held"], Holder)
    assert {t.device.type for t in (there["held"].picture, *there["held"].more, there["list"][0])} == {"meta"}
    assert (there["held"].count, there["none"]) == (3, None)

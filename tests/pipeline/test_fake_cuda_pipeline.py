"""The whole pipeline on the test device: nothing mixes devices, and what comes out is what the CPU makes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from deflicker.correction.apply import _interpolation
from deflicker.correction.texture.temporal_attention import load_attention
from tests.fake_cuda import FakeCuda
from tests.pipeline.gpu_cases import LONG, QUICK, Case

pytestmark = [pytest.mark.usefixtures("raft"), pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*CSR")]


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """What was put on the test device must not meet a real one."""
    yield
    load_attention.cache_clear()
    _interpolation.cache_clear()


def check(case: Case) -> FakeCuda:
    expected = case("cpu")
    with FakeCuda.active() as device:
        found = case("cuda")
    assert sum(device.operations.values()) > 200
    for ours, its in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, its)
    return device


@pytest.mark.parametrize("case", QUICK)
def test_it_makes_what_the_cpu_makes(case: str) -> None:
    check(QUICK[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG)
def test_so_does_what_takes_longer(case: str) -> None:
    check(LONG[case])

"""On a real GPU: every stage and every feature against the CPU, memory, half precision. `scripts/gpu_check` runs it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.fake_cuda import FakeCuda
from tests.gpu_stages import STAGES
from tests.pipeline.gpu_cases import LONG, QUICK, corrected, pumping

EVERY = QUICK | LONG
quiet = pytest.mark.filterwarnings("ignore:Sparse", "ignore:.*CSR")


@quiet
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_on_the_test_device_is_the_cpus(stage: str) -> None:
    make, _ = STAGES[stage]
    expected = make("cpu")
    with FakeCuda.active() as device:
        found = make("cuda")
        assert found.device.type == "cuda"
        assert device.operations
        assert torch.equal(found.cpu(), expected)
    assert float(expected.abs().sum()) > 0


@pytest.mark.cuda
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_near_the_cpu(stage: str) -> None:
    make, bound = STAGES[stage]
    assert float((make("cuda").cpu() - make("cpu")).abs().max()) <= bound


@pytest.mark.cuda
@pytest.mark.usefixtures("raft")
@pytest.mark.parametrize("case", EVERY)
def test_each_feature_is_near_the_cpu(case: str) -> None:
    found, expected = EVERY[case]("cuda"), EVERY[case]("cpu")
    assert len(found) == len(expected)
    for ours, its in zip(found, expected, strict=True):
        if ours.dtype == np.uint8:
            apart = np.abs(ours.astype(int) - its)
            assert apart.mean() < 0.5
            assert np.quantile(apart, 0.99) <= 2
        else:
            np.testing.assert_allclose(ours, its, rtol=0.05, atol=0.02)


@pytest.mark.cuda
@pytest.mark.usefixtures("raft")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("preset", ["fast", "balanced", "quality"])
def test_half_precision_of_the_flow_changes_little(preset: str, precision: str) -> None:
    frames = pumping(9)
    exact, half = (
        corrected(frames, "cuda", preset=preset, precision=each, models=None) for each in ("fp32", precision)
    )
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(exact, half, strict=True)) < 1


@pytest.mark.cuda
@pytest.mark.usefixtures("raft")
@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_memory_does_not_grow_with_the_clip(preset: str) -> None:
    most = []
    for count in (40, 120):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        corrected(pumping(count), "cuda", preset=preset)
        most.append(torch.cuda.max_memory_allocated())
    assert most[1] < 1.2 * most[0] + (16 << 20)
